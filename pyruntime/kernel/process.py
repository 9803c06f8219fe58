"""Processes: clone3(2), prctl(2), pidfd_getfd(2), prlimit(2), close_range(2), proc(5)."""

import _signal
import _struct
import posix as os

from pyruntime.kernel.procfs import read
from pyruntime.kernel.syscall import address, after_fork_child, after_fork_parent, before_fork, buffer, memory, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CLONE_PARENT = 0x00008000
_CLONE_CHILD_CLEARTID = 0x00200000
_CLONE_CHILD_SETTID = 0x01000000
_CLONE_INTO_CGROUP = 0x200000000  # Linux 5.7
_SIGCHLD = 17
_EPERM, _EINVAL, _ENOSYS = 1, 22, 38

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS = 1, 4, 8
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_GET_TID_ADDRESS = 36, 38, 40

_LARGEST = (1 << 31) - 1  # of a descriptor; what is found at /proc may name another
_NONE_OF_OURS = 65535  # descriptors are the lowest numbers that are free, and those of the caller are closed first

RLIMITS = {
    "RLIMIT_CPU": 0, "RLIMIT_FSIZE": 1, "RLIMIT_DATA": 2, "RLIMIT_STACK": 3, "RLIMIT_CORE": 4, "RLIMIT_RSS": 5,
    "RLIMIT_NPROC": 6, "RLIMIT_NOFILE": 7, "RLIMIT_MEMLOCK": 8, "RLIMIT_AS": 9, "RLIMIT_LOCKS": 10,
    "RLIMIT_SIGPENDING": 11, "RLIMIT_MSGQUEUE": 12, "RLIMIT_NICE": 13, "RLIMIT_RTPRIO": 14, "RLIMIT_RTTIME": 15,
}  # fmt: skip


def _tid_address() -> int:
    """Where the C library keeps this thread's id, so that a raw clone can renew it as fork(3) does; 0 if unknown."""
    slot = buffer(8)
    try:
        syscall("prctl", _PR_GET_TID_ADDRESS, slot)
    except OSError:  # a kernel without CONFIG_CHECKPOINT_RESTORE: the C library keeps the parent's thread id
        return 0
    return int(_struct.unpack("Q", bytes(slot))[0])


def clone3(flags: int, cgroup: "int | None" = None, sibling: bool = False) -> int:
    """Fork with new namespaces (`flags`: CLONE_NEW*); returns 0 in the child, which goes on in Python like after fork.

    `cgroup`: descriptor of the cgroup v2 directory the child is born in. `sibling`: the child's parent is our
    parent. Raises OSError. Python's own fork hooks run, so the interpreter is as sound as after os.fork.
    """
    # A stage process comes from such a fork itself, and the /proc it has entered may not show it.
    if not sibling and len(os.listdir("/proc/self/task")) > 1:
        raise SystemError("a process with threads must not fork a container")
    return _clone(flags, cgroup, sibling)


def fork() -> int:
    """fork(2) without a look at /proc, which may be an image's own: os.fork of Python 3.12 counts threads there.

    For a process of one thread, which may be under a container's filter: Docker's forbids clone3 and allows clone(2).
    Raises OSError.
    """
    try:
        return _clone(0)
    except OSError as error:
        if error.errno not in (_EPERM, _ENOSYS):
            raise
    tid = _tid_address()
    flags = _SIGCHLD | (_CLONE_CHILD_SETTID | _CLONE_CHILD_CLEARTID if tid else 0)
    # The child's tid is the fourth argument on x86_64, the fifth on aarch64; what the other one is for is not asked.
    return _forked("clone", flags, 0, 0, tid, tid)


def _clone(flags: int, cgroup: "int | None" = None, sibling: bool = False) -> int:
    tid = _tid_address()
    if tid:
        flags |= _CLONE_CHILD_SETTID | _CLONE_CHILD_CLEARTID
    if sibling:
        flags |= _CLONE_PARENT
    if cgroup is not None:
        flags |= _CLONE_INTO_CGROUP
    arguments = _struct.pack("11Q", flags, 0, tid, 0, 0 if sibling else _SIGCHLD, 0, 0, 0, 0, 0, cgroup or 0)
    return _forked("clone3", arguments, len(arguments))


def _forked(call: str, *arguments: "int | bytes") -> int:
    before_fork()
    try:
        pid = syscall(call, *arguments)
    except OSError:
        after_fork_parent()
        raise
    if pid == 0:
        after_fork_child()
    else:
        after_fork_parent()
    return pid


def command_line() -> "Any":
    """The memory that /proc/PID/cmdline shows of us (fields 48 and 49 of proc_pid_stat(5)); None if it is not told."""
    fields = read("/proc/self/stat").rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    return memory(start, end - start) if start < end else None


def rename(shown: "Any", name: bytes) -> None:
    """Let /proc/PID/cmdline show this name, cut to the room there is; no system call. `shown`: of `command_line`."""
    if shown is not None:
        shown[:] = name[: len(shown) - 1].ljust(len(shown), b"\0")


def set_dumpable(dumpable: bool) -> None:
    """prctl(PR_SET_DUMPABLE): whether /proc/self belongs to the process's user, who may then trace it."""
    syscall("prctl", _PR_SET_DUMPABLE, int(dumpable), 0, 0, 0)


def set_keep_caps(keep: bool) -> None:
    """prctl(PR_SET_KEEPCAPS): whether a change of user keeps the permitted capabilities."""
    syscall("prctl", _PR_SET_KEEPCAPS, int(keep), 0, 0, 0)


def set_no_new_privs() -> None:
    """prctl(PR_SET_NO_NEW_PRIVS): execve grants nothing any more, irrevocably."""
    syscall("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def set_parent_death_signal(number: int) -> None:
    """prctl(PR_SET_PDEATHSIG): the signal we get when the thread that forked us ends."""
    syscall("prctl", _PR_SET_PDEATHSIG, number, 0, 0, 0)


def set_child_subreaper() -> None:
    """prctl(PR_SET_CHILD_SUBREAPER): orphaned descendants become our children."""
    syscall("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def prlimit(pid: int, name: str, soft: int, hard: int) -> None:
    """Set a resource limit of a process (0: our own). Raises OSError."""
    syscall("prlimit64", pid, RLIMITS[name], _struct.pack("2Q", soft, hard), 0, subject=name)


class Image:
    """All that execve(2) needs, laid out for the kernel: calling it makes no other system call and takes no memory."""

    def __init__(self, path: bytes, argv: "list[bytes]", env: "dict[bytes, bytes]") -> None:
        entries = [name + b"=" + value for name, value in env.items()]
        self.text = buffer(b"\0".join([path, *argv, *entries]) + b"\0")
        at = address(self.text) + len(path) + 1
        self.argv, at = _pointers(argv, at)
        self.env, _ = _pointers(entries, at)

    def execve(self) -> None:
        """Become the program. Raises OSError."""
        syscall("execve", self.text, self.argv, self.env)


def _pointers(words: "list[bytes]", at: int) -> "tuple[bytes, int]":
    """An array of pointers to words that lie one after another from `at`, NULL at its end; and where the next lies."""
    found = []
    for word in words:
        found.append(at)
        at += len(word) + 1
    return _struct.pack(f"{len(found) + 1}Q", *found, 0), at


def close_above(last: int, mark_only: bool = False) -> None:
    """Close every descriptor above `last`, or mark it close-on-exec. Raises OSError."""
    close_range(last + 1, 0xFFFFFFFF, mark_only)


def close_range(first: int, last: int, mark_only: bool = False) -> None:
    """Close the descriptors `first` to `last`, or mark them close-on-exec: close_range(2), Linux 5.9 and 5.11.

    Without the call it is done one by one: up to a number that none of ours reaches, as /proc may be an image's own by
    then, and for those listed in /proc/self/fd. Raises OSError.
    """
    try:
        syscall("close_range", first, last, 4 if mark_only else 0)
    except OSError as error:
        if error.errno not in (_EPERM, _EINVAL, _ENOSYS):  # EPERM: a filter is older than the call; else the kernel
            raise
        if not mark_only:
            os.closerange(first, min(last, _NONE_OF_OURS) + 1)
        for name in filter(str.isdecimal, os.listdir("/proc/self/fd")):
            if first <= int(name) <= min(last, _LARGEST):
                _shut(int(name), mark_only)


def _shut(fd: int, mark_only: bool) -> None:
    try:
        if mark_only:
            os.set_inheritable(fd, False)
        else:
            os.close(fd)
    except OSError as error:
        if error.errno != 9:  # EBADF: the descriptor that listed the directory
            raise


def reset_signals() -> None:
    """Default dispositions and an empty mask: both survive execve, and Python ignores SIGPIPE and SIGXFSZ."""
    for number in range(1, _signal.NSIG):
        if number not in (9, 19, 32, 33):  # KILL and STOP can't be set; 32 and 33 belong to the C library
            _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def is_child(pid: int) -> bool:
    """Whether the kernel knows this process as a child of ours, running or ended; it is not reaped."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except (OSError, OverflowError):
        return False
    return True


def exit_status(status: int) -> int:
    """A wait status as a shell shows it: the exit code, or 128 plus the signal."""
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def pidfd_getfd(pidfd: int, fd: int) -> int:
    """A copy of another process's descriptor, close-on-exec; Linux 5.6. Raises OSError (EPERM: not ours to trace)."""
    return syscall("pidfd_getfd", pidfd, fd, 0)
