"""The ports kept by real stores, one folder a kind. Only `sidecars.process` imports them."""
