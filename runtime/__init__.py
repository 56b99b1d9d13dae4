"""A complete OCI runtime: it turns a bundle (config.json and a root file system) into a container.

A container is an ordinary process that the kernel shows another world: other mounts, other process numbers, another
hostname, other network interfaces (namespaces), of which it may use only so much (cgroups), and do only so much
(capabilities). Nothing in the kernel is called "container"; it is what remains when all steps of the plan are done.

    create ──fork──> entrance      leaving   what needs the host's view: exec.fifo, sources of a mapped root's mounts
       │                │          unshare(2), setns(2): into namespaces; a pid namespace begins with the next child
       │                └─fork──> init (pid 1)   inside   mounts, pivot_root(2), masks, capabilities, seccomp …
       ├─ cgroup, limits, hooks <── sync ──>  │
       └─ state.json                          waits at exec.fifo
    start ── writes to exec.fifo ───────────> └─ execve(2): the program

Read seven files, in this order: `cli/verbs` (which commands there are), `create` (the two processes), `plan` (which
steps, and why in this order), `step` (what a step is), `process/entrance` (the two forks), `init` (the loop), and
`process/program` (waiting for `start`, execve). Beside these:

    spec/        config.json and state.json, typed            checks       what the types cannot say, refused by path
    entering, mounting, furnishing, confining, leaving        what stands at one place of the plan, decided
    rootfs/, process/, hooks/, cgroups/                       the steps themselves
    stage, sync  what exists only while a plan runs; how the two processes talk
    lifecycle, join, joining, pause, ps, events, update       what is done with a container that is there
    notify       how the program says to systemd that it is ready
    explain, script, trace                                    the plan printed, as a script, as it runs
    linux/       one thin wrapper for each system call
"""
