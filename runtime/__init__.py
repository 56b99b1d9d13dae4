"""A complete OCI runtime: it turns a bundle (config.json and a root file system) into a container.

A container is an ordinary process that the kernel shows another world: other mounts, other process numbers, another
hostname, other network interfaces (namespaces), of which it may use only so much (cgroups), and do only so much
(capabilities). Nothing in the kernel is called "container"; it is what remains when all steps of the plan are done.

    create ──fork──> entrance  unshare(2): into new namespaces; a pid namespace begins with the next child
       │                └─fork──> init (pid 1)  mounts, pivot_root(2), masks, capabilities …
       │                                 │
       ├─ cgroup, limits <── sync ──>    │
       └─ state.json                     waits at exec.fifo
    start ── writes to exec.fifo ──────> └─ execve(2): the program

Read in this order: `step` (what a step is), `plan` (which steps, and why in this order), `create` (the two processes),
`init` (the loop), `rootfs/`, `process/`, `lifecycle`. `linux/` has one thin wrapper for each system call.
"""
