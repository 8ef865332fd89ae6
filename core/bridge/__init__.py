"""The only threads (and, later, the only asyncio loop) of the system, and the way back into Trio."""
