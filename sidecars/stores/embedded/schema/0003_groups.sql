-- A group as of `seq` of its log.
CREATE TABLE group_state (
    conversation TEXT    NOT NULL PRIMARY KEY,
    seq          INTEGER NOT NULL,
    name         TEXT    NOT NULL,
    history      TEXT    NOT NULL,
    members      BLOB    NOT NULL,             -- JSON: user -> role
    created_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE group_invite (
    code_hash  TEXT    NOT NULL PRIMARY KEY,
    group_id   TEXT    NOT NULL,
    by_user    TEXT    NOT NULL,
    expires_ms INTEGER NOT NULL,
    uses_left  INTEGER NOT NULL                -- -1: any number
) STRICT, WITHOUT ROWID;
CREATE INDEX group_invite_expires ON group_invite (expires_ms);
