-- When a user was active last.
CREATE TABLE last_seen (
    user  INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL
) STRICT;
