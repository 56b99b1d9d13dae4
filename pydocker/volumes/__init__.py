"""Volumes: directories that outlive the containers that use them.

    store        what lies where, and which lock guards it
    usage        which containers use which
    filling      a volume's first content: all of it or none, whoever is killed meanwhile
    filesystem   volumes that are another file system (nfs, tmpfs, a disk, a directory): mount(2)
    contents     what is in a volume, opened, wherever that is
    sources      what a container sees of a volume or an image, as a mount that is attached nowhere yet
    service      one method per request, and what a container's creation needs
"""
