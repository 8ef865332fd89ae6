"""The logs of direct conversations: append, read, search."""
