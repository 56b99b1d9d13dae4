"""Layers: archives from strangers, made into directories that overlayfs stacks.

    stream ──> compression ──> tar ──> unpack ──> tree            in a process of its own per layer (workers, foreman)
                                                    │
    store: layers/<chain id>/diff <── inherit <─────┘ tmp/        sync, rename; then a record says that it is there
                │
             overlay: the steps that stack them                   mount(2), in the container's own mount namespace

A layer is named by its *chain id*: the digest over its own content's digest and the chain id below it (OCI image spec,
config.md), because what a directory means depends on what lies under it.
"""
