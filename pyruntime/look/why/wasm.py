"""On loading and entering a Wasm module."""

from pyruntime.look.why.entry import Why

TABLE = {
    "PrepareModule": Why(
        "The program is WebAssembly, which has to become machine code first. That takes more memory than many "
        "containers have, so it is done outside of the container's cgroup, once: the result is kept. The compiler is a "
        "large program that reads bytes of an image, so a process does it that has no files, network or rights.",
        "openat, fork, unshare, chroot, capset, seccomp, memfd_create, wait4",
        (
            ("no engine", "none of the engines is installed where we look; each is named with its reason"),
            ("invalid module", "the bytes aren't a valid module; the message says at which offset"),
        ),
        "pyruntime wasm cache list; pyruntime wasm engines",
        "WebAssembly core specification",
        ("Reserve",),
    ),
    "LoadModule": Why(
        "The engine's library and the machine code belong to the host, so they are mapped before the container's files "
        "are all there is, and before an identity is taken that may not read them. Nothing is compiled here: mapping "
        "takes milliseconds, and what memory it takes the container pays for.",
        "openat, mmap, mprotect",
        (
            ("no such function", "the module does not export what is to be called; the message lists what it does"),
            ("unknown import", "the module wants functions of a host that this engine is not"),
        ),
        "grep -c wasm /proc/PID/maps",
        "WebAssembly core specification",
        ("Clone", "PrepareModule"),
    ),
    "CheckModule": Why(
        "The module was looked for from outside, when the container's mounts were not made yet. Now the path is opened "
        "once more, from inside, and has to lead to the same file or the same bytes.",
        "openat, newfstatat, pread64",
        (("another file", "a symlink or a mount leads elsewhere than it was foreseen"),),
        "stat /proc/PID/root/PATH",
        "7 path_resolution",
        ("LoadModule",),
    ),
    "HideCommand": Why(
        "A native program begins with memory of its own: execve throws the runtime's away. A module is entered without "
        "it, and the guest, where it is root, may read /proc/self/environ: what stands there is of whoever called "
        "the runtime. crun rewrites the command line too.",
        "prctl(PR_SET_NAME)",
        (("ENOENT", "this C library does not tell where the environment lies"),),
        "tr '\\0' ' ' < /proc/PID/cmdline; wc -c < /proc/PID/environ",
        "5 proc, 2 prctl",
        ("LoadModule",),
    ),
    "MakeGuestFilter": Why(
        "config.json has no seccomp profile, so the module gets one of ours. What an engine needs differs, so it is "
        "made once the module is prepared, and on the host's side, where modules of Python can still be imported.",
        "none",
        (("none", "this only computes"),),
        "pyruntime explain BUNDLE; docs/reference/wasm-seccomp.md lists the calls",
        "2 seccomp",
        ("PrepareModule",),
    ),
    "FilterGuest": Why(
        "An engine is a large program that runs hostile code, and its flaws are looked for. From here on the process "
        "may read, write and open files, wait and start threads; it can't execute, fork, make memory executable, or "
        "reach other parts of the kernel. It comes after the image's own hooks, which are programs.",
        "seccomp(SECCOMP_SET_MODE_FILTER)",
        (
            (
                "EPERM in the guest",
                "the engine made a call that was not measured: tell us, and go on with the "
                "annotation pyruntime.wasm.seccomp: unconfined",
            ),
            ("SIGSYS", "a call that only an intruder makes: the container is killed"),
        ),
        "grep Seccomp /proc/PID/status",
        "2 seccomp",
        ("MakeGuestFilter",),
    ),
    "EnterModule": Why(
        "There is no execve: this process calls the module's _start, and its exit code becomes the container's. "
        "WASI gives it arguments, environment, stdio and the container's root as its one directory.",
        "close_range, then what the module asks for; exit_group",
        (
            ("trap", "the module did something undefined; exit status 134"),
            ("timeout", "it ran longer than the configuration lets it; exit status 134"),
        ),
        "cat /proc/PID/comm; ls -l /proc/PID/root",
        "WASI preview 1",
        ("LoadModule",),
    ),
}
