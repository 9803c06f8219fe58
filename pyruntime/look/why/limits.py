"""On the steps about what a process may use."""

from pyruntime.look.why.entry import Why

TABLE = {
    "SetRlimits": Why(
        "Limits of one process and its children: open files, core size, stack. They are older than cgroups and "
        "count each process (some: each user) alone. The soft value is in force, the hard one is how far it may be "
        "raised again.",
        "prlimit64",
        (
            (
                "EPERM",
                "above the hard limit the runtime itself was started with (LimitNOFILE= of the engine's service)",
            ),
            ("EINVAL", "soft above hard"),
        ),
        "cat /proc/PID/limits",
        "2 getrlimit",
    ),
    "SetOomScore": Why(
        "When memory runs out the kernel kills the process with the highest score. 1000 says `me first`, -1000 "
        "`never`; engines use it to keep the node's own daemons alive.",
        "openat, write to oom_score_adj",
        (("EACCES", "lowering it needs CAP_SYS_RESOURCE"),),
        "cat /proc/PID/oom_score_adj",
        "5 proc_pid_oom_score_adj",
    ),
    "SetUmask": Why(
        "The mode bits that new files don't get. Inherited from the caller it would differ from host to host.",
        "umask",
        (("none", "umask can't fail"),),
        "grep Umask /proc/PID/status",
        "2 umask",
    ),
    "SetScheduler": Why(
        "Which of the kernel's CPU schedulers serves the process, and with which nice value, priority or deadline.",
        "sched_setattr",
        (
            ("EPERM", "real-time needs CAP_SYS_NICE; a deadline can't be had with a cpuset"),
            ("EBUSY", "the deadlines on this CPU leave no room"),
            ("EINVAL", "the policy doesn't take one of the values"),
        ),
        "chrt -p PID",
        "2 sched_setattr, 7 sched",
    ),
    "SetIoPriority": Why(
        "How a disk's scheduler orders the requests of this process among the others'; only some schedulers (bfq) "
        "heed it.",
        "ioprio_set",
        (("EPERM", "the real-time class needs CAP_SYS_ADMIN or CAP_SYS_NICE"),),
        "ionice -p PID",
        "2 ioprio_set",
    ),
    "SetPersonality": Why(
        "LINUX32 makes uname say that the machine is a 32-bit one, for build systems that ask.",
        "personality",
        (("EINVAL", "the kernel doesn't know this domain"),),
        "cat /proc/PID/personality",
        "2 personality",
    ),
    "SetAffinity": Why(
        "The CPUs the process may run on. The host's side sets them before the process is in the cgroup, whose "
        "cpuset has the last word.",
        "sched_setaffinity",
        (("EINVAL", "none of these CPUs is in the container's cpuset"),),
        "taskset -pc PID",
        "2 sched_setaffinity",
    ),
    "SetMemoryPolicy": Why(
        "On a machine of several NUMA nodes memory is nearer to some processors than to others. The policy says from "
        "which nodes pages are taken when they are first touched; children inherit it, and it survives execve.",
        "set_mempolicy",
        (
            ("EINVAL", "no such node here or in the cpuset, or the kernel is older than the mode"),
            ("EPERM", "a filter of an outer container hides the call"),
        ),
        "head -n 1 /proc/PID/numa_maps",
        "2 set_mempolicy, 5 proc_pid_numa_maps",
    ),
    "SetSysctls": Why(
        "Kernel settings that belong to a namespace: net.* to the network's, kernel.shm* and fs.mqueue.* to IPC's. "
        "Others are the whole host's and were refused when the config was read.",
        "openat2(RESOLVE_NO_XDEV), write and read below the private procfs's sys/",
        (
            ("ENOENT", "this kernel has no such setting in the namespace"),
            ("EINVAL", "the kernel doesn't take the value"),
            ("EACCES", "the setting belongs to the host"),
        ),
        "nsenter -t PID -n -i sysctl NAME",
        "5 proc_sys, 8 sysctl",
        ("OpenProcfs",),
    ),
}
