"""The logs of groups: append, read, search."""
