"""The sockets: one Trio task on its own epoll descriptor, and the only importer of `trio.lowlevel`."""
