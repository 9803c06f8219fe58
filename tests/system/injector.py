"""injector.py REPORT [PROCESS:CALL:COUNT:ERRNO] -- COMMAND...: run a command, and let one system call of it fail.

strace(1) counts the calls of each process by itself, so the tenth call fails in the command and in init at once. Here
one call of one process fails: PROCESS is its number in the order of forking (0 the command, 1 its first child, ...),
COUNT the number of the call among those of its name. Without a call to fail, all that could be are listed.

REPORT gets one line per call: `PROCESS CALL COUNT what it was about`. The counting begins where the command first
asks for its state root or configuration (a name given by $BEGIN), so that the interpreter's start is left alone. A
process that executes another program than a Python interpreter is left to itself. With $RELEASE, a file, tracing goes
on when the command has ended, until nobody is left; the file then gets its exit status at once.

x86-64 only: ptrace(2) has no one way to rewrite a call on every machine before Linux 6.16.
"""

import ctypes
import errno
import os
import signal
import struct
import sys

_POKEUSER, _DETACH, _SYSCALL, _SEIZE, _INFO = 6, 17, 24, 0x4206, 0x420E
_OPTIONS = 1 | 2 | 4 | 8 | 16  # TRACESYSGOOD, and events for fork, vfork, clone and exec
_EXEC = 4
_ORIG_RAX, _RAX = 15 * 8, 10 * 8
_NO_CALL = ctypes.c_uint64(-1).value
_WALL = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long

# Numbers of <asm/unistd_64.h>. Calls that are not here are known by their number, and fail as well.
NAMES = {
    0: "read", 1: "write", 2: "open", 3: "close", 4: "stat", 5: "fstat", 6: "lstat", 7: "poll", 8: "lseek", 9: "mmap",
    10: "mprotect", 11: "munmap", 12: "brk", 13: "rt_sigaction", 14: "rt_sigprocmask", 15: "rt_sigreturn",
    16: "ioctl", 17: "pread64", 18: "pwrite64", 20: "writev", 21: "access", 24: "sched_yield", 25: "mremap",
    28: "madvise", 32: "dup", 33: "dup2", 35: "nanosleep", 39: "getpid", 41: "socket", 42: "connect", 46: "sendmsg",
    47: "recvmsg", 53: "socketpair", 56: "clone", 57: "fork", 58: "vfork", 59: "execve", 60: "exit", 61: "wait4",
    62: "kill", 63: "uname", 72: "fcntl", 73: "flock", 77: "ftruncate", 79: "getcwd", 80: "chdir", 81: "fchdir",
    82: "rename", 83: "mkdir", 84: "rmdir", 87: "unlink", 89: "readlink", 90: "chmod", 91: "fchmod", 92: "chown",
    93: "fchown", 94: "lchown", 95: "umask", 97: "getrlimit", 102: "getuid", 104: "getgid", 105: "setuid",
    106: "setgid", 107: "geteuid", 108: "getegid", 109: "setpgid", 110: "getppid", 112: "setsid", 113: "setreuid",
    115: "getgroups", 116: "setgroups", 117: "setresuid", 119: "setresgid", 125: "capget", 126: "capset",
    131: "sigaltstack", 135: "personality", 137: "statfs", 138: "fstatfs", 155: "pivot_root", 157: "prctl",
    158: "arch_prctl", 160: "setrlimit", 161: "chroot", 165: "mount", 166: "umount2", 170: "sethostname",
    171: "setdomainname", 186: "gettid", 188: "setxattr", 202: "futex", 203: "sched_setaffinity",
    204: "sched_getaffinity", 217: "getdents64", 218: "set_tid_address", 228: "clock_gettime", 230: "clock_nanosleep",
    231: "exit_group", 232: "epoll_wait", 233: "epoll_ctl", 234: "tgkill", 247: "waitid", 250: "keyctl",
    251: "ioprio_set", 257: "openat", 258: "mkdirat", 259: "mknodat", 260: "fchownat", 262: "newfstatat",
    263: "unlinkat", 264: "renameat", 265: "linkat", 266: "symlinkat", 267: "readlinkat", 268: "fchmodat",
    269: "faccessat", 270: "pselect6", 271: "ppoll", 272: "unshare", 273: "set_robust_list", 280: "utimensat",
    281: "epoll_pwait", 285: "fallocate", 288: "accept4", 291: "epoll_create1", 292: "dup3", 293: "pipe2",
    302: "prlimit64", 308: "setns", 309: "getcpu", 314: "sched_setattr", 316: "renameat2", 317: "seccomp",
    318: "getrandom", 319: "memfd_create", 321: "bpf", 322: "execveat", 332: "statx", 334: "rseq",
    424: "pidfd_send_signal", 428: "open_tree", 429: "move_mount", 430: "fsopen", 431: "fsconfig", 432: "fsmount",
    433: "fspick", 434: "pidfd_open", 435: "clone3", 436: "close_range", 437: "openat2", 438: "pidfd_getfd",
    439: "faccessat2", 442: "mount_setattr", 444: "landlock_create_ruleset", 445: "landlock_add_rule",
    446: "landlock_restrict_self", 452: "fchmodat2", 459: "lsm_get_self_attr", 460: "lsm_set_self_attr",
}  # fmt: skip
PATHS = {  # which argument is the path, for the report
    2: 0, 4: 0, 21: 0, 59: 0, 80: 0, 82: 0, 83: 0, 84: 0, 87: 0, 89: 0, 90: 0, 155: 0, 161: 0, 165: 1, 166: 0,
    257: 1, 258: 1, 259: 1, 260: 1, 262: 1, 263: 1, 264: 1, 266: 0, 267: 1, 268: 1, 269: 1, 322: 1, 428: 1, 437: 1,
    442: 1, 431: 2, 430: 0,
}  # fmt: skip
DESCRIPTORS = (0, 1, 16, 46, 47, 72, 73, 81, 91, 217, 308, 429)  # calls whose first argument is a descriptor


def ptrace(request: int, pid: int, address: int = 0, data: "int | ctypes.Array[ctypes.c_char]" = 0) -> int:
    """ptrace(2). Raises OSError; ESRCH is a process that was killed."""
    ctypes.set_errno(0)
    argument = data if isinstance(data, int) else ctypes.addressof(data)
    found = int(_libc.ptrace(request, pid, address or None, argument or None))
    if found == -1 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found


class Tracee:
    """One process: its number, how often it made each call, and what is to be put in place of the current one."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.counts: "dict[str, int]" = {}
        self.inside = False
        self.result: "int | None" = None


class Injector:
    """The processes of one command."""

    def __init__(self, report: str, fail: str) -> None:
        self.report = open(report, "w", buffering=1)
        self.begin = os.environ.get("BEGIN", "")
        self.release = os.environ.get("RELEASE", "")
        words = fail.split(":", 3) if fail else []
        self.wanted = (int(words[0]), words[1], int(words[2])) if words else None
        self.error = getattr(errno, words[3]) if words else 0
        self.tracees: "dict[int, Tracee]" = {}
        self.numbers = 0
        self.begun = not self.begin
        self.done = False
        self.status = 0

    def run(self, command: "list[str]") -> int:
        """Trace it to its end; its exit status."""
        first = os.fork()
        if first == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            os.execv(command[0], command)
        os.waitpid(first, os.WUNTRACED)
        ptrace(_SEIZE, first, 0, _OPTIONS)  # no attached child begins with a SIGSTOP that could outlive us
        self.tracees[first] = Tracee(0)
        os.kill(first, signal.SIGCONT)
        running = True
        while running or (self.release and self.tracees):
            try:
                pid, status = os.waitpid(-1, _WALL)
            except ChildProcessError:
                break
            if os.WIFSTOPPED(status):
                self.stopped(pid, status)
                continue
            self.tracees.pop(pid, None)
            if pid == first:
                running = False
                self.status = os.waitstatus_to_exitcode(status)
                if self.release:
                    with open(self.release + ".new", "w") as file:
                        file.write(str(self.status))
                    os.rename(self.release + ".new", self.release)
        return self.status if self.status >= 0 else 128 - self.status

    def go(self, pid: int, number: int = 0) -> None:
        """Let it run to its next call; for good once all is done."""
        tracee = self.tracees.get(pid)
        try:
            if tracee is None or (self.done and tracee.result is None):
                ptrace(_DETACH, pid, 0, number)
                self.tracees.pop(pid, None)
            else:
                ptrace(_SYSCALL, pid, 0, number)
        except OSError as error:
            if error.errno != errno.ESRCH:
                raise

    def stopped(self, pid: int, status: int) -> None:
        """One stop of one process."""
        number, event = os.WSTOPSIG(status), status >> 16
        if pid not in self.tracees:  # its stop may be seen before the fork is told
            self.numbers += 1
            self.tracees[pid] = Tracee(self.numbers)
        if number == signal.SIGTRAP | 0x80:
            self.call(pid, self.tracees[pid])
            number = 0
        elif event == _EXEC:
            name = os.path.basename(_link(f"/proc/{pid}/exe"))
            if not name.startswith(("python", "memfd:", "pyruntime")):
                ptrace(_DETACH, pid)
                del self.tracees[pid]
                return
        self.go(pid, 0 if event else number)

    def call(self, pid: int, tracee: Tracee) -> None:
        """A call begins or ends."""
        buffer = ctypes.create_string_buffer(88)
        try:
            ptrace(_INFO, pid, len(buffer), buffer)
        except OSError:
            return
        if buffer.raw[0] == 1:
            self.entered(pid, tracee, struct.unpack_from("7Q", buffer.raw, 24))
        elif buffer.raw[0] == 2 and tracee.result is not None:
            ptrace(_POKEUSER, pid, _RAX, tracee.result)
            tracee.result = None
            self.done = True

    def entered(self, pid: int, tracee: Tracee, numbers: "tuple[int, ...]") -> None:
        """Count it, tell of it, and put none in its place if it is the one to fail."""
        name = NAMES.get(numbers[0], f"call{numbers[0]}")
        if not self.begun:
            self.begun = self.begin in _about(pid, numbers)
            if not self.begun:
                return
        tracee.counts[name] = count = tracee.counts.get(name, 0) + 1
        if self.wanted is None:
            self.report.write(f"{tracee.number} {name} {count} {_about(pid, numbers)}\n")
        elif not self.done and self.wanted == (tracee.number, name, count):
            self.report.write(f"{tracee.number} {name} {count} {_about(pid, numbers)}\n")
            ptrace(_POKEUSER, pid, _ORIG_RAX, _NO_CALL)
            tracee.result = ctypes.c_uint64(-self.error).value


def _about(pid: int, numbers: "tuple[int, ...]") -> str:
    """What a call is about: its path or its descriptor's, and its first numbers."""
    number, arguments = numbers[0], numbers[1:]
    if number in DESCRIPTORS:
        return f"{_link(f'/proc/{pid}/fd/{arguments[0]}')} {arguments[1]:#x}"
    if number in PATHS:
        try:
            with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
                memory.seek(arguments[PATHS[number]])
                text = memory.read(256)
        except (OSError, OverflowError, ValueError):
            return "?"
        path = ascii(text.partition(b"\0")[0].decode("utf-8", "replace"))[1:-1]
        return path or _link(f"/proc/{pid}/fd/{arguments[0]}")  # AT_EMPTY_PATH
    return " ".join(f"{each:#x}" for each in arguments[:3])


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return "?"


if __name__ == "__main__":
    cut = sys.argv.index("--")
    words = sys.argv[1:cut]
    code = Injector(words[0], words[1] if len(words) > 1 else "").run(sys.argv[cut + 1 :])
    os._exit(code)
