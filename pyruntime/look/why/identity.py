"""On the steps about who the process is."""

from pyruntime.look.why.entry import Why

TABLE = {
    "MakeCwd": Why(
        "Images may name a working directory that they do not bring, and engines leave it to the runtime to make it. "
        "That takes a root that can be written, so it is done before one that is to be read-only is made so.",
        "openat2(RESOLVE_IN_ROOT), mkdirat",
        (("EROFS", "the rootfs is on a read-only mount"), ("ENOTDIR", "a file is in the way")),
        "ls -ld DIRECTORY, in the container",
        "2 mkdir",
        ("ChangeRoot",),
    ),
    "EnterCwd": Why(
        "The working directory is opened below the root and entered by descriptor, and then asked for its name: "
        "one that lies outside would be a way to the host. A second try as the user serves file systems that "
        "refuse root.",
        "openat2(RESOLVE_IN_ROOT), fchdir, getcwd",
        (("ENOENT, ENOTDIR", "process.cwd is no directory in the rootfs"), ("EACCES", "the user may not enter it")),
        "readlink /proc/PID/cwd",
        "2 chdir",
        ("ChangeRoot",),
    ),
    "BuildEnvironment": Why(
        "execve takes an environment as a whole. It is put together from config.json alone, so nothing of the caller's "
        "(secrets among it) gets in; of two entries with one name the later wins.",
        "openat2 and read of /etc/passwd, if HOME is missing",
        (("ENOENT", "no /etc/passwd: HOME is /"),),
        "tr '\\0' '\\n' < /proc/PID/environ",
        "7 environ",
    ),
    "SetNoNewPrivs": Why(
        "After this no execve adds rights: setuid bits and file capabilities count for nothing, for good and for all "
        "children. A mistake in the image is no longer a way to root.",
        "prctl(PR_SET_NO_NEW_PRIVS)",
        (("EINVAL", "a kernel older than 3.5"),),
        "grep NoNewPrivs /proc/PID/status",
        "2 prctl",
    ),
    "LeaveGroups": Why(
        "Supplementary groups open files on the host whatever they are called inside. Whoever made the user namespace "
        "to be joined may have forbidden setgroups there for good, as an ordinary user has to; so the command's groups "
        "go before it is entered.",
        "setgroups",
        (("EPERM", "no CAP_SETGID, or a user namespace around the command forbids it"),),
        "grep Groups /proc/PID/status",
        "2 setgroups, 7 user_namespaces",
        ("Join",),
    ),
    "DropBounding": Why(
        "Root's power is cut into capabilities. The bounding set is the ceiling: what isn't in it no execve brings "
        "back, not even of a setuid root program. It must shrink while the process still has CAP_SETPCAP, so "
        "before the user changes.",
        "prctl(PR_CAPBSET_READ), prctl(PR_CAPBSET_DROP)",
        (("EPERM", "no CAP_SETPCAP"),),
        "grep CapBnd /proc/PID/status; capsh --decode=HEX",
        "7 capabilities",
    ),
    "SetUser": Why(
        "Groups first, user last: each call needs a right that the change of user takes away. Groups left over "
        "from the caller would open the caller's files. The kernel drops all capabilities when the uid leaves 0; "
        "keeping the permitted ones is asked for just before, for the next step.",
        "prctl(PR_SET_KEEPCAPS), setgroups, setresgid, setresuid",
        (
            ("EPERM", "not root, or setgroups is denied in this user namespace"),
            ("EINVAL", "the id isn't in linux.uidMappings or gidMappings"),
            ("EAGAIN", "that user has RLIMIT_NPROC processes already"),
        ),
        "grep -E 'Uid|Gid|Groups' /proc/PID/status",
        "2 setresuid, 2 setgroups, 7 credentials",
        ("DropBounding",),
    ),
    "SetCapabilities": Why(
        "The other four sets. Permitted is what the process may use, effective what it uses now; inheritable and "
        "ambient say what passes through execve for one who isn't root. Last of all, because every step before "
        "needed some.",
        "capset, prctl(PR_CAP_AMBIENT), capget",
        (("EPERM", "more than the runtime has itself, or more than the bounding set leaves"),),
        "grep Cap /proc/PID/status; getpcaps PID",
        "7 capabilities",
        ("DropBounding", "SetUser"),
    ),
}
