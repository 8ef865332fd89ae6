-- A conversation in a user's list, with the user's watermarks.
CREATE TABLE relay_row (
    user          INTEGER NOT NULL,
    conversation  INTEGER NOT NULL,
    first         INTEGER NOT NULL DEFAULT 0,
    joined        INTEGER NOT NULL DEFAULT 0,
    removal       INTEGER NOT NULL DEFAULT 0,
    delivered     INTEGER NOT NULL DEFAULT 0,
    read          INTEGER NOT NULL DEFAULT 0,
    muted         INTEGER NOT NULL DEFAULT 0,
    pending       INTEGER NOT NULL DEFAULT 0,
    pending_first INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user, conversation)
) STRICT, WITHOUT ROWID;

CREATE TABLE relay_device (
    id   INTEGER PRIMARY KEY,
    user INTEGER NOT NULL,
    name TEXT    NOT NULL,
    UNIQUE (user, name)
) STRICT;

CREATE TABLE relay_cursor (
    device       INTEGER NOT NULL,
    conversation INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    PRIMARY KEY (device, conversation)
) STRICT, WITHOUT ROWID;
