"""State and decisions of one node, synchronous and pure: no sockets, no clocks of its own, no awaits."""
