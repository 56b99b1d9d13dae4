"""pydocker: a container engine for one Linux host, and its command line.

The floors, from the street to the roof (imports go down only; import-linter holds it in the tests):

    cli          what a person types; speaks only the Engine API, as `docker` does
    client       the Engine API seen from outside          api  the same seen from inside
    engine       one object that knows where everything is; what the API's handlers call
    containers   create, start, stop, remove, list, exec, logs
    monitor      one small process per container: its stdio, its log, its exit status
    images       names -> manifests -> layers              registry, layers: where they come from, where they go
    storage      documents replaced atomically, locks, content-addressed blobs
    model        values without I/O
    errors, paths, config

The process that a container *is* gets made by the other package, `runtime`, which knows nothing of this one.
"""

__version__ = "0.1.0"
