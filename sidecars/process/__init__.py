"""Wiring: the only place that knows both the services and their stores. Holds the command `trimaran`."""
