"""One monitor per running container: the process that owns what lives exactly as long as the container does.

    server ──(seqpacket: a directory, descriptors)──> spawner ──fork──> monitor ──runtime create, fork──> init
                                                                          │
                                       monitor.sock <── server's requests ┤
                           <id>-json.log, state.json <── written by it ───┤
           attached clients' sockets, pty or pipes, exec sessions <───────┘

The server hands over *descriptors*: the connection of a client that attaches is given to the monitor, which writes to
it and reads from it itself. So nothing that a container does passes through the server, and `kill -9` of the server
loses not one byte. The flock that a monitor holds on `monitor.lock` is the proof that it lives; while it does, it alone
writes `state.json`.

A container that nobody watches is started by a process between the monitor and init, which then ends, so that the
monitor has touched nothing and sleeps (midwife): 1 MB of memory for each, instead of 4.

Everything here runs in the thin spawner's fork: import nothing heavy, use no threads.

Files in reading order: launch (what the monitor is told), spawner (how it comes to be), plan (what it does to the
kernel), monitor (its life), midwife, loop, stdio, clients, logwriter, execs, control (what the server may ask).
"""
