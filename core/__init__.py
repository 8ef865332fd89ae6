"""The chat service: the router that owns connections, order and dispatch. README.md is the tour."""
