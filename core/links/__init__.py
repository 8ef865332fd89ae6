"""The ports of the router over async services, one file a port, and the door through which sidecars reach the router."""
