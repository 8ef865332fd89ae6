"""Benches: each asks a question, measures the real server, prints the machine and one JSON line. README.md lists them."""
