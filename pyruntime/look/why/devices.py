"""On the steps about /dev and the console."""

from pyruntime.look.why.entry import Why

TABLE = {
    "MakeDevices": Why(
        "A device node is a name for a driver: kind, major and minor number. Few are safe for everyone, and every "
        "program expects those. In a user namespace mknod of a device is forbidden; there the host's nodes are "
        "bound.",
        "mknodat, fchownat, fchmodat; else open_tree, move_mount",
        (
            ("EPERM", "no CAP_MKNOD, or the device program denies it; the host's node is bound instead"),
            ("EEXIST", "the rootfs has something else by this name"),
        ),
        "ls -l /proc/PID/root/dev",
        "2 mknod, 4 null",
        ("BindRoot",),
    ),
    "LinkDevices": Why(
        "Scripts use /dev/stdout and /dev/fd/3; these are links into /proc. /dev/ptmx leads to the container's own "
        "devpts, whose terminals the host can't see.",
        "symlinkat",
        (("EROFS", "the rootfs is read-only and has no /dev to write to: mount a tmpfs there"),),
        "ls -l /proc/PID/root/dev",
        "5 proc, 4 pts",
        ("BindRoot",),
    ),
    "OpenConsole": Why(
        "The terminal comes from the container's own devpts, so no process inside can reach a terminal of the host. It "
        "becomes stdin, stdout, stderr and the controlling terminal, from which Ctrl-C is a signal.",
        "openat(/dev/pts/ptmx), ioctl(TIOCGPTPEER), dup2, ioctl(TIOCSCTTY), move_mount",
        (
            ("ENOENT", "no devpts is mounted on /dev/pts"),
            ("ENOSPC", "/proc/sys/kernel/pty/max is used up"),
            ("EIO, EPERM", "init leads no session, or the terminal is another session's"),
        ),
        "ls -l /proc/PID/fd; ps -o tty -p PID",
        "7 pty, 2 ioctl_tty",
        ("Isolate", "ChangeRoot"),
    ),
    "SendConsole": Why(
        "Who holds the master end types and reads for the user. The engine outlives this command, so the descriptor is "
        "handed over a unix socket and no copy is kept.",
        "sendmsg(SCM_RIGHTS), close",
        (("EPIPE", "the caller closed its console socket"),),
        "ls -l /proc/CALLER/fd",
        "7 unix",
        ("ConnectSocket", "OpenConsole"),
    ),
}
