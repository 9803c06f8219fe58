"""On the last steps, and hooks."""

from pyruntime.look.why.entry import Why

TABLE = {
    "RunHook": Why(
        "A hook is a program of the engine's that runs at a fixed point of the container's life, with the state as "
        "JSON on its stdin: it may add a network device, or refuse the container by failing. Where it runs "
        "(outside or inside) is fixed by its kind.",
        "clone, execve, write, wait4",
        (
            ("ENOENT", "the hook's path isn't there: for startContainer it is looked up inside the container"),
            ("exit status", "any but 0 ends the creation, and everything is undone"),
            ("timeout", "the hook and all it started are killed"),
        ),
        "strace -f -e execve pyruntime create …",
        "2 execve",
    ),
    "CheckExecutable": Why(
        "Whoever may look at our process from inside the container can follow /proc/PID/exe to the host's Python, keep "
        "it open and write to it once we are gone. So at the very start of the command another file was put there: a "
        "read-only mount of it that is attached nowhere, or a sealed copy. This reads the result back.",
        "fstatfs, fcntl(F_GET_SEALS), readlink",
        (("not protected", "neither could be had: an old kernel, or an outer filter; nothing was made yet"),),
        "stat -f -c %T /proc/PID/exe; readlink /proc/PID/exe",
        "2 prctl, 2 memfd_create",
    ),
    "FindProgram": Why(
        "Looked up as the user and inside the root, while `create` can still say what is wrong. Found missing only by "
        "`start`, nobody would be listening any more. So are a script's interpreter and an ELF file's loader.",
        "newfstatat, faccessat, openat, read",
        (
            ("ENOENT", "not in the rootfs, or in no folder of PATH; or what its first line or ELF header names is not"),
            ("EACCES", "no x bit for this user, a noexec mount, or a directory"),
        ),
        "ls -l ROOTFS/bin",
        "2 execve, 2 access",
        ("BuildEnvironment", "SetUser"),
    ),
    "EncodeArguments": Why(
        "Between a filter of system calls and execve nothing may be asked of the kernel, not even for memory: so all "
        "that execve reads is put in place before.",
        "close",
        (("none", "this only prepares"),),
        "tr '\\0' ' ' < /proc/PID/cmdline",
        "2 execve",
        ("BuildEnvironment", "FindProgram"),
    ),
    "LoadSeccomp": Why(
        "From here on the kernel asks a small program about every system call: allow, refuse with an errno, kill, log, "
        "or ask another process. With no_new_privs it is loaded last, so it need not allow what we do; without, "
        "loading takes CAP_SYS_ADMIN and must come before that is given up.",
        "seccomp(SECCOMP_SET_MODE_FILTER)",
        (
            ("EACCES", "neither no_new_privs nor CAP_SYS_ADMIN"),
            ("EINVAL", "a flag this kernel doesn't have"),
            ("SIGSYS", "a later call of ours is not allowed by a filter that had to be loaded early"),
        ),
        "grep Seccomp /proc/PID/status",
        "2 seccomp",
        ("SetUser",),
    ),
    "SendListener": Why(
        "Calls with SCMP_ACT_NOTIFY wait until another process has decided. It gets the filter's listener, and the "
        "state of the container, over the socket the configuration names.",
        "pidfd_open, pidfd_getfd, sendmsg",
        (("EPIPE", "who listened has closed the socket"),),
        "ls -l /proc/PID/fd of the listening process: anon_inode:seccomp notify",
        "2 seccomp_unotify, 2 pidfd_getfd",
        ("LoadSeccomp",),
    ),
    "PassDescriptors": Why(
        "A forgotten descriptor of a host directory is a way out of any container. Everything above stderr is "
        "closed, but what the caller asked to pass on (--preserve-fds, socket activation).",
        "fcntl(F_SETFD), close_range",
        (("none", "an open descriptor that isn't ours is closed too: that is the point"),),
        "ls -l /proc/PID/fd",
        "2 close_range",
    ),
    "WaitForStart": Why(
        "The container is `created`: complete, but for its program. No runtime process is left; init sleeps in one "
        "read and `pyruntime start` wakes it.",
        "close, read",
        (("end of file", "the container was deleted before it was started: init ends"),),
        "pyruntime state ID; cat /proc/PID/wchan",
        "7 fifo",
        ("MakeBarrier",),
    ),
    "Execve": Why(
        "The process becomes the program: same pid, namespaces, cgroup and rights, but another memory image. "
        "Nothing of the runtime is left in it.",
        "execve",
        (
            ("ENOENT", "the program, or what its first line or ELF header names, was removed after `create`"),
            ("ENOEXEC", "neither ELF nor script, or for another machine"),
            ("EACCES", "no x bit, or the mount is noexec"),
            ("E2BIG", "arguments and environment are longer than a quarter of the stack limit"),
        ),
        "readlink /proc/PID/exe",
        "2 execve",
        ("FindProgram",),
    ),
    "AwaitExec": Why(
        "The channel between the two lanes is close-on-exec: its end of file says that init has become the program. A "
        "message instead would be the reason why not.",
        "recvmsg",
        (("a message", "the reason why the program can't be executed; everything is undone"),),
        "strace -f -e recvmsg pyruntime run …",
        "2 execve, 7 unix",
    ),
}
