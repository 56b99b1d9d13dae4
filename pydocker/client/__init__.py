"""The Engine API seen from outside: what a command line needs to know about a server, and nothing about a person.

    address      unix:///run/pydocker.sock -> Address -> connected socket
    api          Client: versions, errors, JSON; the only thing that knows "/v1.47"
    containers, images, registries, execs, system   one function per route, by noun
    answers      what the server answers, typed
    launch       starting the server when nobody has

It works against any server of the Engine API; the tests point it at Docker's own where that is installed.
"""
