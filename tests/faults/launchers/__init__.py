"""Starts of the real server in which one thing is not as it should be; each is a module to run, as `trimaran` is."""
