"""`doctor`: what this host has to have for what one wants to do, looked up and never guessed.

    needs.py         a need, a verdict, and the table of all needs by purpose
    kernel.py        system calls and namespaces
    surroundings.py  the root file system, a container around us, where a bundle lies
    cgroups.py       the tree, its controllers, what is delegated
    systemd.py       whether it runs, and answers
    users.py         what containers without root take
    security.py      seccomp, AppArmor, SELinux
    install.py       our own files: interpreter, owner, packs, place
    callers.py       Docker, containerd, Podman, CRI-O, Kubernetes, and what they have to know
    configs.py       the files in which they look for it
    wasm.py          engines, each loaded

A check is a function that looks and returns verdicts. `fail` is a need that is not met, `warn` something that will
bite somebody, `unknown` a question this user may not ask.
"""
