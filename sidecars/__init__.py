"""The sidecar services: user, group, last_seen, relay, message and group_message, and their stores. README.md is the tour."""
