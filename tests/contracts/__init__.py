"""One suite a port: what every store that keeps the port must do, run on each of `backends.BACKENDS`."""
