CREATE TABLE account (
    id            TEXT    NOT NULL PRIMARY KEY,
    email         TEXT    NOT NULL,
    email_key     TEXT    UNIQUE,              -- null once deleted: the address is free again
    name          TEXT    NOT NULL,
    password_hash TEXT    NOT NULL,
    created_ms    INTEGER NOT NULL,
    last_seen     TEXT    NOT NULL,
    read_receipts INTEGER NOT NULL,
    is_operator   INTEGER NOT NULL,
    is_disabled   INTEGER NOT NULL,
    deleted_ms    INTEGER NOT NULL             -- 0: lives
) STRICT, WITHOUT ROWID;

-- The words of the names, for the search by their beginnings.
CREATE TABLE account_word (
    word TEXT NOT NULL,
    user TEXT NOT NULL,
    PRIMARY KEY (word, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX account_word_user ON account_word (user);

CREATE TABLE device (
    id            TEXT    NOT NULL PRIMARY KEY,
    user          TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    created_ms    INTEGER NOT NULL,
    used_ms       INTEGER NOT NULL,
    family_hash   TEXT    NOT NULL UNIQUE,
    current_hash  TEXT    NOT NULL,
    previous_hash TEXT    NOT NULL,
    nonce         TEXT    NOT NULL,
    rotated_ms    INTEGER NOT NULL,
    expires_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX device_user ON device (user, used_ms);

CREATE TABLE block (
    user  TEXT NOT NULL,
    other TEXT NOT NULL,
    PRIMARY KEY (user, other)
) STRICT, WITHOUT ROWID;
CREATE INDEX block_other ON block (other, user);
