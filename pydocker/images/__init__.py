"""Images: which there are, what they are called, where they come from, and when they may go.

    catalog    index.json as a value: names -> manifests                  (pure)
    store      the images directory, which is an OCI image layout; resolve, list, tag
    removal    what `rmi` may remove, with Docker's rules and words       (pure, but for its last function)
    leases     what a pull in progress needs, so that a removal beside it spares that
    changes    the Dockerfile instructions that `import --change` takes   (pure)
    importing  a root file system's archive -> an image
    pull       a registry's image -> an image
    push       an image -> a registry's image
    remote     both as the configuration wants them, and what else is asked of registries
"""
