-- Names are interned once and are numbers everywhere else; they are never deleted, so a number never changes its meaning.
CREATE TABLE conversation_name (
    id    INTEGER PRIMARY KEY,
    name  TEXT    NOT NULL UNIQUE,
    epoch INTEGER NOT NULL DEFAULT 0          -- the claim: appends need exactly this epoch
) STRICT;

CREATE TABLE user_name (
    id   INTEGER PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE
) STRICT;

-- All logs in one table, in the order of arrival: an append touches the last page, and the right edge of two indexes.
-- There is no row for a conversation's head: it is max(seq), by the index.
CREATE TABLE entry (
    id           INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    sender       INTEGER NOT NULL,
    device       ANY,                          -- a UUID as 16 bytes; null: none
    client_id    ANY     NOT NULL,             -- a UUID as 16 bytes
    kind         INTEGER NOT NULL,             -- its place in log.KINDS
    ref          INTEGER NOT NULL,
    time_ms      INTEGER NOT NULL,
    texts        INTEGER NOT NULL,
    hidden_from  INTEGER,                      -- a user; null: no one
    is_emptied   INTEGER NOT NULL,
    body         BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX entry_seq ON entry (conversation, seq);
-- The client's id first: UUIDv7s rise, so this index grows at its right edge too.
CREATE UNIQUE INDEX entry_client_id ON entry (client_id, conversation, sender);
-- What was done to an entry: edits (1), deletions (2), reactions (3).
CREATE INDEX entry_ref ON entry (conversation, ref, seq) WHERE kind BETWEEN 1 AND 3;
-- What somebody may not see.
CREATE INDEX entry_hidden ON entry (conversation, hidden_from, seq) WHERE hidden_from IS NOT NULL;

-- The newest edit of a text; the edit's own entry holds the words.
CREATE TABLE edit (
    conversation INTEGER NOT NULL,
    ref          INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    PRIMARY KEY (conversation, ref)
) STRICT, WITHOUT ROWID;

-- The reactions that are on.
CREATE TABLE reaction (
    conversation INTEGER NOT NULL,
    ref          INTEGER NOT NULL,
    emoji        TEXT    NOT NULL,
    user         INTEGER NOT NULL,
    PRIMARY KEY (conversation, ref, emoji, user)
) STRICT, WITHOUT ROWID;

CREATE TABLE slot (
    slot      INTEGER PRIMARY KEY,
    epoch     INTEGER NOT NULL,
    anchor_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE intent (
    slot         INTEGER NOT NULL,
    conversation INTEGER NOT NULL,
    time_ms      INTEGER NOT NULL,
    PRIMARY KEY (slot, conversation)
) STRICT, WITHOUT ROWID;
