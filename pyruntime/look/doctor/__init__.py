"""`doctor`: what this host has to have for what one wants to do, looked up and never guessed.

    needs.py     a need, a verdict, and the table of all needs by purpose
    kernel.py    system calls, namespaces, the root file system
    cgroups.py   the tree, its controllers, what is delegated
    users.py     what containers without root take
    security.py  seccomp, AppArmor, SELinux
    install.py   our own files: interpreter, owner, packs, place
    callers.py   the configuration of Docker, containerd, Podman, CRI-O
    wasm.py      engines, each loaded

A check is a function that looks and returns verdicts. `fail` is a need that is not met, `warn` something that will
bite somebody, `unknown` a question this user may not ask.
"""
