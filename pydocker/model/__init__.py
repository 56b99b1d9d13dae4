"""Values without I/O: what the engine talks about. Nothing here reads a file, opens a socket or asks for the time."""
