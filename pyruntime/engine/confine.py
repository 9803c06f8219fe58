"""The walls around a compiler: what this process gives up before it reads a module.

A module comes from an image, and a compiler is a large program. What it needs is memory and the CPU.
"""

import _signal
import posix as os
import resource

from pyruntime.kernel import caps, mounts, ns, process, seccomp
from pyruntime.seccomp import architectures, bpf

_NOBODY = 65534
_EINVAL, _EPERM = 22, 1
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | _EPERM, 0x80000000  # SECCOMP_RET_*
_CLONE_THREAD = 0x10000
_MiB = 1 << 20
_ROOM = 64 * _MiB  # for what a small module is compiled to

# Everything that wasmtime and CPython were seen to call between the filter and the end, and what the C library calls
# for the same ends elsewhere: memory, threads, time, random numbers, the two descriptors that are open.
CALLS = (
    "read", "write", "close", "mmap", "munmap", "mprotect", "mremap", "madvise", "brk", "futex", "membarrier",
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "set_robust_list", "rseq",
    "gettid", "getpid", "sched_yield", "sched_getaffinity", "sched_getscheduler", "sched_getparam", "prctl",
    "getrandom", "clock_gettime", "clock_nanosleep", "nanosleep", "gettimeofday", "restart_syscall", "exit",
    "exit_group",
)  # fmt: skip
# What a compiler and its linker call to write a file and to read it again, in a directory of their own.
FILES = (
    "openat", "fstat", "newfstatat", "statx", "lseek", "pread64", "pwrite64", "readv", "writev", "ftruncate",
    "fallocate", "unlink", "unlinkat", "rename", "renameat", "renameat2", "access", "faccessat", "faccessat2", "fcntl",
    "chmod", "fchmod", "fchmodat", "umask", "getcwd", "readlink", "readlinkat", "uname", "getdents64",
)  # fmt: skip


def confine(size: int, files: bool = False) -> None:
    """Leave files, network, users and rights behind; `size` is the module's, in bytes. Raises OSError and Error.

    `files`: what is compiled can only be written to a file. So the working directory is the root of an empty tmpfs.

    What is loaded and open stays. Without root no namespaces are made: there the filter alone keeps files and network
    away, and the rights are the caller's own.
    """
    program = _filter((*CALLS, *FILES) if files else CALLS)
    limit(size)
    if files:
        _empty_root(_ROOM + 32 * size)
    process.set_dumpable(False)
    if os.geteuid() == 0:
        ns.unshare(["network", "ipc", "uts"])
        # Ours alone and empty of everything but our descriptors' numbers. A mount namespace would add nothing, since
        # nothing can be opened any more, and would copy the host's mount table.
        if not files:
            os.chroot("/proc/self/fdinfo")
            os.chdir("/")
        caps.drop_bounding(0)
        _become_nobody()
    caps.capset(0, 0, 0)
    process.set_parent_death_signal(_signal.SIGKILL)  # the kernel forgets it when the user changes: prctl(2)
    process.set_no_new_privs()
    seccomp.load(program, 0)


def limit(size: int) -> None:
    """Bound memory, CPU time and the artefact by the module's size, several times what large ones were seen to need."""
    for name, value in (
        (resource.RLIMIT_AS, 2048 * _MiB + 96 * size),
        (resource.RLIMIT_CPU, 60 + 10 * size // _MiB),
        (resource.RLIMIT_FSIZE, _ROOM + 32 * size),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(name)
        wanted = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (wanted, wanted))


def _empty_root(size: int) -> None:
    """Make a tmpfs of `size` bytes, which is mounted nowhere, the root directory.

    Who is not root makes it in a user namespace, where it is: clone(2), user_namespaces(7). Raises OSError.
    """
    uid, gid = os.geteuid(), os.getegid()
    if uid:
        ns.unshare(["user", "mount"])
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            fd = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
            os.write(fd, text.encode())
            os.close(fd)
    tmpfs = mounts.new_filesystem("tmpfs", "tmpfs", [("size", str(size)), ("mode", "1777")], 0)
    os.fchdir(tmpfs)
    os.close(tmpfs)
    os.chroot(".")


def _become_nobody() -> None:
    try:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    except OSError as error:
        if error.errno not in (_EINVAL, _EPERM):  # in a user namespace that maps no such id, or denies setgroups
            raise


def _filter(calls: "tuple[str, ...]") -> bytes:
    """A program that lets these calls through, and clone(2) for threads, and answers EPERM to every other.

    clone3(2) keeps its flags where no filter can look: without it the C library takes clone.
    """
    native = architectures.wanted([], os.uname().machine)[0]
    numbers = [native.numbers[name] for name in calls if name in native.numbers]
    pack, count = bpf.packer(native.big), len(numbers)
    refused, allowed = pack(bpf.RET, 0, 0, _REFUSE), pack(bpf.RET, 0, 0, _ALLOW)
    for_thread = [
        pack(bpf.LD, 0, 0, native.low(0)),
        pack(bpf.AND, 0, 0, _CLONE_THREAD),
        pack(bpf.JEQ, 1, 0, 0),
        allowed,
        refused,
    ]
    return b"".join(
        [
            pack(bpf.LD, 0, 0, bpf.ARCH),
            pack(bpf.JEQ, 1, 0, native.token),
            pack(bpf.RET, 0, 0, _KILL),
            pack(bpf.LD, 0, 0, bpf.NR),
            *(pack(bpf.JEQ, count - index + 3 + len(for_thread), 0, nr) for index, nr in enumerate(numbers)),
            pack(bpf.JEQ, 0, len(for_thread), native.numbers["clone"]),
            *for_thread,
            pack(bpf.JEQ, 0, 1, native.numbers["clone3"]),
            pack(bpf.RET, 0, 0, bpf.ENOSYS),
            refused,
            allowed,
        ]
    )
