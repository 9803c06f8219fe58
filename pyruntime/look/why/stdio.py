"""On the steps about stdin, stdout and stderr."""

from pyruntime.look.why.entry import Why

TABLE = {
    "MakePipes": Why(
        "Who holds the caller's terminal can push letters into it, which the caller's shell then runs as commands. "
        "So a container in the foreground gets pipes, and the command copies between them and the terminal.",
        "pipe2",
        (("EMFILE, ENFILE", "too many descriptors are open, in this process or on the host"),),
        "ls -l /proc/PID/fd",
        "7 pipe, 2 ioctl_tty",
    ),
    "TakePipes": Why(
        "The container's ends of the pipes become its stdin, stdout and stderr; from here on it has no descriptor "
        "of the caller's terminal.",
        "dup3, close",
        (("EBADF", "the pipes were not made: a mistake in the plan"),),
        "ls -l /proc/PID/fd",
        "2 dup",
        ("MakePipes",),
    ),
    "LeavePipes": Why(
        "A reader sees the end of a pipe only when the last writer has closed it. The command holds the "
        "container's ends too, since before the fork, and lets go of them here.",
        "close",
        (("EBADF", "the pipes were not made: a mistake in the plan"),),
        "ls -l /proc/COMMAND/fd",
        "7 pipe",
        ("MakePipes",),
    ),
    "HoldMaster": Why(
        "The pty is made inside, and its other end comes out with the next baton. `exec` has no other step of the "
        "command left, and a terminal whose master end is closed hangs up on the process.",
        "recvmsg",
        (("EMFILE", "too many descriptors are open in the command"),),
        "ls -l /proc/COMMAND/fd",
        "7 unix, 4 pts",
        ("OpenConsole",),
    ),
    "OwnStdio": Why(
        "A program that isn't root reopens /dev/stdout and meets the owner of the pipe behind it. So the pipe is "
        "given to the user the program will be.",
        "fstat, fchown",
        (("EPERM, EROFS", "not ours to give: it is left as it is"),),
        "stat -L /proc/PID/fd/1",
        "2 fchown",
    ),
    "GuardNull": Why(
        "A container that runs already may have removed its /dev/null. Then a process that `exec` starts keeps the "
        "caller's, and root inside could make it useless for all of the host by one chmod. A read-only mount of it, "
        "attached nowhere, reads and writes the same and refuses that.",
        "open_tree(OPEN_TREE_CLONE), mount_setattr, openat, dup3",
        (("EPERM", "no CAP_SYS_ADMIN over the command's mount namespace"),),
        "grep mnt_id /proc/PID/fdinfo/0: a mount that /proc/PID/mountinfo does not list",
        "2 open_tree, 4 null",
        ("ReopenNull",),
    ),
    "ReopenNull": Why(
        "A caller mostly gives /dev/null as stdin: a file of the host's tree, a small door out. The container's "
        "own node takes its place.",
        "fstat, openat2(RESOLVE_IN_ROOT), dup3",
        (("ENOENT", "a container without /dev/null: the host's stays, for `exec` behind a read-only mount"),),
        "stat -L /proc/PID/fd/0",
        "4 null",
        ("MakeDevices", "ChangeRoot"),
    ),
}
