"""On the steps about processes and namespaces."""

from pyruntime.look.why.entry import Why

TABLE = {
    "OpenNamespace": Why(
        "A namespace to be joined is named by a file, mostly /proc/PID/ns/KIND. It is opened once and its kind is "
        "asked of the kernel; later the descriptor is used and not the path, which could be swapped in between.",
        "openat, ioctl(NS_GET_NSTYPE)",
        (
            ("ENOENT", "the process whose namespace it is has ended"),
            ("EACCES", "not your process: you'd need CAP_SYS_PTRACE over it"),
            ("ENOTTY", "the file is no namespace"),
        ),
        "ls -l /proc/PID/ns",
        "7 namespaces, 2 ioctl_ns",
    ),
    "Clone": Why(
        "One call makes the process that becomes the container, with its new namespaces, directly inside its cgroup. "
        "Each namespace gives it its own copy of one kind of name: pids, mounts, host name, network devices, IPC "
        "objects, user ids. What is not listed stays shared with the host. From here on two processes walk this "
        "list, each doing its own steps. A command line can be read by whoever sees the process, and the command's "
        "names paths of the host: init's becomes `pyruntime init`.",
        "clone3",
        (
            ("EPERM", "new namespaces need CAP_SYS_ADMIN, or a user namespace among them"),
            ("ENOSPC, EUSERS", "a limit in /proc/sys/user/max_*_namespaces is reached, or namespaces nest too deep"),
            ("EBUSY", "the cgroup has children with controllers and so takes no process"),
            ("EAGAIN", "RLIMIT_NPROC or pids.max of the caller"),
        ),
        "lsns -p PID; compare ls -l /proc/PID/ns with /proc/self/ns",
        "2 clone3, 7 namespaces",
    ),
    "Join": Why(
        "setns moves the calling process into a namespace that exists: this is how the containers of a pod share a "
        "network, and how `exec` gets in. The user namespace comes first, because the rights to enter the others are "
        "counted there.",
        "setns",
        (
            ("EPERM", "no CAP_SYS_ADMIN in the user namespace that owns this one"),
            ("EINVAL", "a wrong kind, or the process can't change it any more (threads, for user and mount)"),
        ),
        "ls -l /proc/PID/ns, and compare the numbers with the owner's",
        "2 setns",
        ("OpenNamespace",),
    ),
    "Unshare": Why(
        "Like the namespaces of clone3, but for the process that is running already. The cgroup namespace is made this "
        "way once init is in its cgroup, so that this cgroup becomes the top of what it sees; and with a user "
        "namespace all but the pid namespace are made once init is root there, so that what they hold is root's.",
        "unshare",
        (("EPERM", "needs CAP_SYS_ADMIN"), ("ENOSPC", "a limit in /proc/sys/user is reached")),
        "cat /proc/PID/cgroup inside shows 0::/",
        "2 unshare",
        ("Clone",),
    ),
    "SetTimeOffsets": Why(
        "A time namespace shifts the monotonic and the boot clock, for a restored program that must not see time go "
        "back. The shift can be set only until the first process enters.",
        "openat, write to /proc/self/timens_offsets",
        (("EACCES", "a process has entered already"), ("ERANGE", "the clock would become negative or overflow")),
        "nsenter -t PID -T cat /proc/uptime",
        "7 time_namespaces",
        ("Unshare",),
    ),
    "ForkInit": Why(
        "The process that joined namespaces can't be init itself: a pid or time namespace holds only for children. It "
        "makes init as its sibling, so that the command, and not this helper, is init's parent.",
        "clone3(CLONE_PARENT), exit_group",
        (("EPERM", "the joined user namespace doesn't allow the new ones"), ("EAGAIN", "RLIMIT_NPROC or pids.max")),
        "ps -o pid,ppid -p PID",
        "2 clone3",
        ("Clone",),
    ),
    "AdoptInit": Why(
        "The command learns init's pid as the host counts it, and collects the helper that made it, so that no "
        "zombie stays.",
        "recvmsg, wait4",
        (("end of file", "the helper ended without a word; the kernel log may say why"),),
        "ps --ppid PARENT",
        "2 wait4",
        ("ForkInit",),
    ),
    "WriteIdMap": Why(
        "A new user namespace knows no ids: until they are mapped every file belongs to nobody. Each line says "
        "which ids inside are which on the host. Root may write any map; a user only his own id, unless "
        "/etc/subuid and the setuid helpers newuidmap and newgidmap grant more.",
        "openat, write to /proc/PID/uid_map or gid_map (and setgroups)",
        (
            ("EPERM", "an id that isn't yours, setgroups not denied, or the map was written before"),
            ("EINVAL", "ranges overlap, or have size 0"),
        ),
        "cat /proc/PID/uid_map /proc/PID/gid_map",
        "7 user_namespaces, 1 newuidmap",
        ("Clone",),
    ),
    "BecomeRoot": Why(
        "Init is still the id it was on the host. As id 0 of its user namespace it owns what it makes there, and "
        "the mounts and names of its other namespaces obey it.",
        "setresgid, setresuid",
        (("EINVAL", "id 0 is not in the maps: add containerID 0 to linux.uidMappings and gidMappings"),),
        "grep Uid /proc/PID/status",
        "2 setresuid",
        ("WriteIdMap",),
    ),
    "Isolate": Why(
        "A child inherits more than one thinks: session and terminal, signal dispositions, CPU affinity. Each "
        "would let the caller's surroundings leak in. Not dumpable means that no process of the container can "
        "trace init, or read the host's files through its /proc entry, while it is half inside. One that waits for "
        "`start` has handlers for the signals that end a process: as PID 1 it would not get them otherwise.",
        "rt_sigaction, setsid, prctl(PR_SET_DUMPABLE), sched_setaffinity",
        (("EPERM", "setsid: init leads a process group already"),),
        "ps -o pid,sid,tty -p PID; ls -ld /proc/PID/fd (root's)",
        "2 setsid, 2 prctl",
        ("Clone",),
    ),
    "JoinKeyring": Why(
        "Kernel keyrings have no namespace. Without a session keyring of its own the container could read keys "
        "(Kerberos tickets, disk keys) that the caller's session holds.",
        "keyctl(KEYCTL_JOIN_SESSION_KEYRING), keyctl(KEYCTL_SETPERM)",
        (
            ("EDQUOT", "/proc/sys/kernel/keys/maxkeys is used up; --no-new-keyring goes without"),
            ("ENOSYS, EPERM", "the kernel has no keys, or an outer filter hides the call: the step goes without"),
        ),
        "cat /proc/keys as the container's user",
        "2 keyctl, 7 session-keyring",
    ),
    "LoopbackUp": Why(
        "A new network namespace has one device, lo, and it is down: even 127.0.0.1 can't be reached. Everything else "
        "(veth pairs, addresses) is the engine's business, between create and start.",
        "socket, ioctl(SIOCGIFFLAGS), ioctl(SIOCSIFFLAGS)",
        (("EPERM", "the network namespace isn't init's own"),),
        "nsenter -t PID -n ip link",
        "7 network_namespaces, 7 netdevice",
    ),
    "MoveNetDevices": Why(
        "A network device is in one network namespace at a time. The kernel takes it down when it moves and forgets "
        "its addresses; those meant to last are written down first and given back, and the device is brought up. What "
        "is virtual ends with the namespace, what is hardware goes back to the first one.",
        "setns, socket(AF_NETLINK), RTM_GETLINK, RTM_GETADDR, RTM_SETLINK(IFLA_NET_NS_FD), RTM_NEWADDR",
        (
            ("ENODEV", "there is no such device any more"),
            ("EEXIST", "the container's namespace has a device of that name"),
            ("EINVAL", "devices of this kind belong to their namespace and can't be moved"),
        ),
        "nsenter -t PID -n ip addr",
        "7 rtnetlink, 7 network_namespaces, 8 ip-link",
        ("Clone",),
    ),
    "SetHostname": Why(
        "The host name is one of two strings a uts namespace holds. Without that namespace this would rename the host, "
        "which is why the config is refused then.",
        "sethostname",
        (("EPERM", "no CAP_SYS_ADMIN over the uts namespace"), ("EINVAL", "longer than 64 bytes")),
        "nsenter -t PID -u hostname",
        "2 sethostname, 7 uts_namespaces",
    ),
    "SetDomainname": Why(
        "The NIS domain name, the other string of a uts namespace. It has nothing to do with DNS.",
        "setdomainname",
        (("EPERM", "no CAP_SYS_ADMIN over the uts namespace"), ("EINVAL", "longer than 64 bytes")),
        "nsenter -t PID -u domainname",
        "2 setdomainname, 7 uts_namespaces",
    ),
    "OpenTarget": Why(
        "`exec` enters the namespaces of a running container. They are opened by init's pid, and only then is it "
        "checked that this pid is still the init that was recorded: asked before, the answer could be stale.",
        "openat, fstat",
        (("ENOENT", "init has ended"), ("EACCES", "not your container")),
        "ls -l /proc/PID/ns",
        "7 namespaces",
    ),
    "LeaveHost": Why(
        "Who has CAP_SYS_PTRACE in the container may stop the new process as soon as it is seen in the pid namespace, "
        "and take all it has. So it is forked late, from a stage process that has closed the host's folders (from one "
        "'..' leads to the host's root) and given up the capabilities that neither the program nor a later step needs.",
        "close, prctl(PR_CAPBSET_DROP), capget, capset",
        (("EPERM", "no CAP_SETPCAP: the command itself may not drop what it has"),),
        "grep Cap /proc/PID/status; ls -l /proc/PID/fd",
        "2 ptrace, 7 capabilities, 7 pid_namespaces",
    ),
    "OpenCgroup": Why(
        "The new process is born in the container's cgroup and so under its limits. A cgroup that was divided holds no "
        "processes itself; then the one init moved to is used.",
        "openat",
        (("ENOENT", "the container's cgroup is gone: it has ended"),),
        "cat /proc/PID/cgroup",
        "7 cgroups",
    ),
}
