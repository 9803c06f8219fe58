"""The system calls of a process that has become a Wasm guest: the filter it gets where config.json has none.

A guest calls its engine and the engine calls the kernel, so what an engine needs is what a guest can ever cause. All
else is refused: an engine's flaw gives an attacker this list and no more. docs/reference/wasm-seccomp.md tells how each
was measured; a test compares the two.

Refused is EPERM, since C libraries and engines try calls and go without; a call that no engine has a use for and an
intruder begins with ends the container.
"""

from pyruntime.config.seccomp import Seccomp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GROUPS = {
    "interpreter": ("brk", "exit", "exit_group", "restart_syscall", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn"),
    "threads": (
        "clone", "futex", "getpid", "gettid", "madvise", "prctl", "rseq", "sched_getaffinity", "sched_yield",
        "set_robust_list", "sigaltstack", "tgkill",
    ),
    "memory": ("mmap", "mprotect", "mremap", "munmap"),
    "descriptors": (
        "close", "close_range", "fcntl", "ioctl", "lseek", "pipe2", "pread64", "preadv", "pwrite64", "pwritev",
        "pwritev2", "read", "readv", "write", "writev",
    ),
    "events": ("epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "eventfd2", "poll", "ppoll"),
    "files": (
        "fadvise64", "fdatasync", "fstat", "fsync", "ftruncate", "getdents64", "linkat", "mkdirat", "newfstatat",
        "openat", "openat2", "readlinkat", "renameat", "renameat2", "statx", "symlinkat", "unlinkat", "utimensat",
    ),
    "clocks": ("clock_getres", "clock_gettime", "clock_nanosleep", "getrandom", "gettimeofday"),
}  # fmt: skip
NETWORK = (
    "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", "recvfrom", "recvmsg",
    "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown", "socket",
)  # fmt: skip
PROCESSES = ("clone", "wait4")  # for an engine that keeps its guest in a child: clone with any flag but a namespace's
# What others than wasmtime call besides: seen by running the WASI test suite with each of them.
MORE: "dict[str, tuple[str, ...]]" = {
    "wasmer": PROCESSES,
    "wasmedge": ("accept", "dup", "faccessat", "faccessat2", "fallocate", "timerfd_create", "timerfd_settime"),
    "wamr": ("fallocate", "getcwd", "readlink", "shutdown"),
}
NETWORKED = ("wasmedge",)  # whose WASI has sockets: their guests have the network of the container without asking
ABSENT = ("clone3",)  # its flags lie in memory, where no filter looks: ENOSYS, and C libraries use clone
KILLS = (
    "bpf", "execve", "execveat", "init_module", "finit_module", "io_uring_setup", "kexec_load", "keyctl", "mount",
    "move_mount", "open_by_handle_at", "perf_event_open", "pidfd_getfd", "pivot_root", "process_vm_readv",
    "process_vm_writev", "ptrace", "setns", "unshare", "userfaultfd",
)  # fmt: skip

_CLONE_VM, _CLONE_THREAD = 0x100, 0x10000
_CLONE_NEW = 0x7E020080  # every CLONE_NEW* that clone(2) takes
_PROT_EXEC = 4
_ENOSYS = 38

Condition = "tuple[int, str, int, int]"  # argument, operator, value (MASKED_EQ: the mask), second value
_ONE_OF: "dict[str, tuple[int, tuple[int, ...]]]" = {
    "prctl": (0, (15, 0x53564D41)),  # PR_SET_NAME, PR_SET_VMA
    "ioctl": (1, (0x5401, 0x5421)),  # TCGETS, FIONBIO
    "fcntl": (1, (1, 2, 3, 4, 1030)),  # F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC
    "tgkill": (2, (6,)),  # SIGABRT: how a library that gives up ends its own process
    "socket": (0, (2, 10)),  # AF_INET, AF_INET6
}
_MASKED: "dict[str, tuple[int, int, int]]" = {
    "clone": (0, _CLONE_NEW | _CLONE_VM | _CLONE_THREAD, _CLONE_VM | _CLONE_THREAD),
    "mmap": (2, _PROT_EXEC, 0),
    "mprotect": (2, _PROT_EXEC, 0),
}


def profile(engine: str, network: bool, machine: str) -> Seccomp:
    """The profile for a guest of this engine, in the form of config-linux.md, "Seccomp".

    `network`: whether the guest was given any. `machine` as uname(2) names it.
    """
    names = {name for group in GROUPS.values() for name in group}
    names.update(NETWORK if network or engine in NETWORKED else ())
    more = set(MORE.get(engine, ()))
    rules = [_rule("ALLOW", sorted((names - set(_ONE_OF) - set(_MASKED)) | (more - {"clone"})))]
    for name in sorted(names & (set(_ONE_OF) | set(_MASKED))):
        asked = conditions(name, machine, processes=name in more)
        rules += [_rule("ALLOW", [name], [condition]) for condition in asked]
    rules.append(_rule("ERRNO", list(ABSENT), errnoRet=_ENOSYS))
    rules.append(_rule("KILL_PROCESS", sorted(KILLS)))
    return Seccomp.read({"defaultAction": "SCMP_ACT_ERRNO", "flags": [], "syscalls": rules}, "rule")


def conditions(name: str, machine: str, processes: bool = False) -> "list[dict[str, Any]]":
    """When a call is allowed: one of these has to hold, or none is asked if there is none.

    `processes`: whether clone(2) may make processes too, in the namespaces that there are.
    """
    if name in _ONE_OF:
        index, values = _ONE_OF[name]
        return [{"index": index, "value": value, "op": "SCMP_CMP_EQ"} for value in values]
    if name in _MASKED:
        index, mask, value = (0, _CLONE_NEW, 0) if processes else _MASKED[name]
        if name == "clone" and machine.startswith("s390"):
            index = 1  # clone(2), "C library/kernel differences"
        return [{"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}]
    return []


def _rule(action: str, names: "list[str]", args: "list[dict[str, Any]] | None" = None, **more: int) -> "dict[str, Any]":
    return {"names": names, "action": f"SCMP_ACT_{action}", "args": args or [], **more}
