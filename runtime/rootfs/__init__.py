"""What a container sees as its file system: steps that mount, make devices, mask, and turn the root around.

All paths of the container are resolved inside it by the kernel (openat2(2), RESOLVE_IN_ROOT) to a descriptor, and
mounts are attached to that descriptor: no string is joined to another (SECURITY R1, R2).
"""
