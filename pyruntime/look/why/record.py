"""On the steps of the command itself: record, cgroup, barrier, sockets."""

from pyruntime.look.why.entry import Why

TABLE = {
    "MakeResctrlGroup": Why(
        "A processor with Intel RDT (or its like) shares out cache and memory bandwidth by groups, which are folders "
        "of resctrl. One without a name of its own is named after the container and removed with it.",
        "mkdir, write to schemata, read of info/last_cmd_status",
        (
            ("ENOSPC", "the processor has no class of service left, or no monitoring group"),
            ("EINVAL", "the shares are not what this processor takes; the kernel's own words stand behind it"),
            ("ENOENT", "closID names no group, and no schema says what to make"),
        ),
        "cat /sys/fs/resctrl/NAME/schemata",
        "5 proc_cpuinfo",
        ("Reserve",),
    ),
    "EnterResctrlGroup": Why(
        "A process is in one group, and what it forks later is in the same. It is put there as soon as it exists.",
        "write to tasks",
        (("ESRCH", "the process has ended"), ("ENOENT", "the group was removed meanwhile")),
        "grep -l PID /sys/fs/resctrl/*/tasks",
        "5 proc",
        ("Clone",),
    ),
    "Reserve": Why(
        "Making a directory either succeeds or finds that it exists: so of two commands with one id exactly one wins. "
        "What is about to be made is written down before it is made; a command killed half-way then leaves a note by "
        "which `delete --force` finds the rest.",
        "mkdirat, openat, flock, write, fsync, renameat",
        (
            ("EEXIST", "a container with this id exists; delete it or take another id"),
            ("EACCES", "the state root belongs to somebody else; name one of your own with --root"),
            ("EROFS, ENOSPC", "the state root's file system takes no more files"),
        ),
        "ls -l /run/pyruntime/ID (or below --root)",
        "2 mkdir, 2 flock",
    ),
    "MakeCgroup": Why(
        "A cgroup is the kernel's way to count and limit a group of processes, and to find all of them again. It "
        "is made before the first process so that init is born in it: there is no moment in which it runs "
        "unlimited. A controller must be enabled in every ancestor, from the top down, before a child has its "
        "files.",
        "mkdir, openat, write to cgroup.subtree_control",
        (
            ("EACCES", "this part of the tree was not given to you; run as root or have it delegated"),
            ("EBUSY", "an ancestor holds processes itself, so it can't hand controllers to children"),
            ("EAGAIN", "cgroup.max.descendants or cgroup.max.depth of an ancestor is used up"),
        ),
        "cat /proc/PID/cgroup; ls /sys/fs/cgroup/PATH",
        "7 cgroups",
        ("Reserve",),
    ),
    "StartScope": Why(
        "On a host with systemd the tree of cgroups is systemd's, and who makes one beside it may find it changed or "
        "gone. So systemd is asked for a scope, a unit around processes that others have started. It moves init, which "
        "waits for that and has done nothing yet; Delegate leaves what is inside to the container. Limits are "
        "properties of the unit as well, since systemd writes them again when it is told to reload.",
        "socket, connect, StartTransientUnit and JobRemoved of org.freedesktop.systemd1 on D-Bus",
        (
            ("UnitExists", "a unit of this name is at work: another container has this linux.cgroupsPath"),
            ("AccessDenied", "this manager takes no units from this user; log in by a session of your own"),
            ("failed", "systemd could not make the cgroup or move init; its journal has the reason"),
            ("ECONNREFUSED, ENOENT", "no bus and no systemd listens there"),
        ),
        "systemctl status UNIT; systemd-cgls -u UNIT",
        "5 systemd.scope, 5 org.freedesktop.systemd1",
        ("Clone",),
    ),
    "AttachToUnit": Why(
        "To move a process the kernel wants rights over the cgroup above both its old and its new place. A user has "
        "them below the user's systemd, but not when the command comes from a session beside it; systemd has them.",
        "AttachProcessesToUnit of org.freedesktop.systemd1 on D-Bus",
        (
            ("AccessDenied", "the process belongs to somebody else"),
            ("NoSuchUnit", "the unit is gone, and so is the container"),
        ),
        "cat /proc/PID/cgroup",
        "5 org.freedesktop.systemd1, 7 cgroups",
        ("Clone",),
    ),
    "ApplyLimits": Why(
        "A limit is a number written into a file of the cgroup. Before it, the processes inside may use what their "
        "ancestors leave them: without memory.max one leak takes the host's memory, without pids.max a fork bomb takes "
        "its process table.",
        "openat, write",
        (
            ("ENOENT", "the kernel lacks the controller, or it is not enabled in the parent"),
            ("EINVAL", "the kernel doesn't take this value"),
            ("EBUSY", "memory in use already is above the limit and can't be reclaimed"),
            ("ENODEV", "an io limit names a block device that isn't there"),
        ),
        "grep . /sys/fs/cgroup/PATH/{memory.max,pids.max,cpu.max}",
        "7 cgroups",
        ("MakeCgroup",),
    ),
    "DelegateCgroup": Why(
        "A container that manages processes itself (an init such as systemd) wants to divide its cgroup. It is "
        "given the directory and the files that move processes, but not the files that hold its own limits: those "
        "stay root's.",
        "fchownat",
        (("EPERM", "only root may give a cgroup away"),),
        "ls -ln /sys/fs/cgroup/PATH",
        "7 cgroups",
        ("MakeCgroup",),
    ),
    "FilterDevices": Why(
        "Whoever can open /dev/sda owns the host. A device file in the container is therefore not enough: the "
        "kernel asks a small program attached to the cgroup at every open and mknod. It is a list of comparisons "
        "compiled from linux.resources.devices; what no rule allows is denied.",
        "bpf(BPF_PROG_LOAD), bpf(BPF_PROG_ATTACH)",
        (
            ("EPERM", "loading a program needs CAP_SYS_ADMIN or CAP_BPF in the host's first user namespace"),
            ("EINVAL", "the kernel was built without CONFIG_CGROUP_BPF"),
        ),
        "bpftool cgroup show /sys/fs/cgroup/PATH",
        "2 bpf",
        ("MakeCgroup",),
    ),
    "MakeBarrier": Why(
        "The spec parts making a container from starting it: engines use the pause in between to wire up networks. "
        "Init sleeps in a read of this fifo; `start` writes one byte. A fifo has a name, so that another command, "
        "later, finds it; no daemon needs to stay.",
        "mknodat, openat, fchmod",
        (("EPERM", "the state root's file system has no fifos; choose another with --root"),),
        "ls -l /run/pyruntime/ID/exec.fifo, before `start`",
        "7 fifo",
        ("Reserve",),
    ),
    "ConnectSocket": Why(
        "The caller waits on this socket for a descriptor. It is connected while the path still means what the caller "
        "meant; once the root has changed, the same path would be looked up in a tree that strangers filled.",
        "socket, connect",
        (
            ("ENOENT", "nobody has bound a socket at this path"),
            ("ECONNREFUSED", "the path is a socket that nobody listens on any more"),
        ),
        "ss -xlp",
        "7 unix",
    ),
    "SendPidfd": Why(
        "A pid may be reused by a stranger, a pidfd never is: it is a descriptor of this very process. Passed over "
        "a unix socket it lets the caller signal and wait without that race.",
        "pidfd_open, sendmsg(SCM_RIGHTS)",
        (("EPIPE", "the caller closed its socket"),),
        "ls -l /proc/CALLER/fd",
        "2 pidfd_open, 7 unix",
        ("ConnectSocket", "Clone"),
    ),
    "Save": Why(
        "From here on every other command finds the container: its pid, and the time that process started, by which a "
        "reused pid is told apart. The file is written beside the old one and renamed over it, so nobody reads half.",
        "openat, write, fsync, renameat",
        (("ENOSPC, EDQUOT", "the state root's file system is full"),),
        "pyruntime state ID",
        "2 rename",
        ("Reserve", "Clone"),
    ),
    "WritePidFile": Why(
        "Engines take init's pid from a file instead of parsing output. It is written last, renamed into place, and so "
        "its being there says that everything before it went well.",
        "openat, write, rename",
        (("ENOENT, EACCES", "the folder of --pid-file isn't there or not yours"),),
        "cat the file",
        "5 proc",
        ("Clone",),
    ),
    "MakeNotify": Why(
        "A service manager waits for a message on a datagram socket before it starts what depends on the service. That "
        "socket's address means nothing inside, and who holds it could say more than it should; so the container gets "
        "a socket of ours, and of what it says only READY is passed on.",
        "mkdirat, fchmod, socket, bind, chmod",
        (
            ("ENOSPC", "the state root's file system is full"),
            ("EROFS", "the state root's file system takes no more files"),
        ),
        "ls -l /run/pyruntime/ID/notify; in the container: ls -l /run/notify",
        "3 sd_notify, 7 unix",
        ("Reserve",),
    ),
}
