"""The Engine API from inside: a socket, a router, and one module for each noun.

    listeners ──> server ──> connection ──> router ──> containers  streams  execs  images  registries  system
    sockets       threads    one client     paths      handlers: Request -> Response | Stream | Upgrade (exchange)

A handler is a plain function of a narrow backend (a protocol in its own module) and a request. It decodes, asks the
backend, and gives a value back; what the bytes look like is `wire`'s business, what they cause is the engine's.
"""
