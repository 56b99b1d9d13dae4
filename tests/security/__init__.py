"""A public suite of attacks on OCI runtimes: what an evil image, volume, neighbour or config.json tries, run for real.

Every row of the first table of our security notes ("Runtime breakouts", the CVEs of runc, crun, Docker, podman, CRI-O
and containerd that are a runtime's business) and every rule that kills a class of them is one *attack*. An attack
drives a runtime only by what the OCI runtime specification and runc's command line say (bundles; `create`, `start`,
`state`, `exec`, `kill`, `delete`, `run`), so the suite judges any runtime that can stand in for runc:

    make security                                            all that are installed, with all tries
    python -m tests.security --runtime crun races            one runtime, one file of attacks
    python -m tests.security --runtime mine=/opt/mine        yours (further words are its global flags)
    python -m tests.security --list                          what there is, and what each attack does
    python -m tests.security --scale 10                      ten times as many tries

The table has a row for each attack and a column for each runtime:

    held            the attack was made, and the host is what it was; the evidence says how often, and how it ended
    BROKEN          it got what it was after, or the host changed
    NO ATTACK       the positive control failed: what was run cannot be told from doing nothing; never held
    not applicable  with the reason: the kernel, the architecture, or the runtime has nothing that could be attacked

The exit code is 1 if pydocker-runtime (or, without it, any runtime) is BROKEN or was not attacked.

How it is made
    attacks/     the attacks, by what they go at; each is a function with one docstring: Attack, Held, Control
    programs/    what runs inside: small C programs, linked statically, compiled once a session
    ground.py    where an attack takes place: bundles, containers, volumes, the canary's directory
    canary.py    the host, before and after: files, mounts, sysctls, devices, cgroups, processes, the runtime's files
    runtimes.py  which runtimes there are, and how each one is called
    suite.py     the register of attacks, and the judge
    rows.py      rows about networks and mounts that other tests (also) make, and where

To add a runtime: an entry in `runtimes.KNOWN` (a name, the program, its global flags), or `--runtime NAME=PROGRAM`.

To add an attack: a function in one of the files of `attacks/` (a new file has to be imported in its __init__):

    @attack("CVE-2024-21626", rules="R7", quick=5, full=65)
    def working_directory_by_descriptor(ground: Ground, times: int) -> str:
        '''A descriptor that the runtime left open leads to the host, and the working directory goes through it.

        Attack: …what is done, and with what power.
        Held: …what must be true afterwards, inside and outside.
        Control: …how it is known that the attack did attack.
        '''
        box = ground.box()
        …
        suite.held(condition, "the evidence if it is not true")        raises Broken
        suite.attacked(condition, "what shows that it did nothing")    raises NotAttacked
        return "evidence for the table"

`quick` tries are made in `make test` (for pydocker-runtime alone; all attacks together take less than 40 s), `full` in
`make security`. The canary is compared by the judge after each attack: an attack says only what the canary cannot see.
If a test needs something of the machine that is not there, it raises `NotApplicable` with the reason, never "held".
Attacks must be harmless when they succeed: write what was there before, aim at the canary's directory, or at a
parameter of the kernel that nobody minds (`canary.HARMLESS`).
"""
