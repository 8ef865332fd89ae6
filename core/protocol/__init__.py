"""RFC 6455 and the frames of `trimaran.v1`, sans I/O: bytes in, events out; records in, bytes out."""
