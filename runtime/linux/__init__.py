"""One thin wrapper for each system call, in the kernel's names and order of arguments: the only ctypes in the project.

Every wrapper raises OSError with the path it was about, and decides nothing. Import the module that you need:
`calls` (ctypes, errno), `namespaces`, `mounts`, `mountinfo`, `openat2`, `bpf`, `capabilities`, `prctl`, `descriptors`,
`interface` (lo), `keyring`, `interpreter` (Python from a read-only mount), `headstart`.
"""
