"""Another file behind /proc/self/exe, while the program runs: prctl(PR_SET_MM_MAP), Linux 3.18.

The kernel lets a process change that link once nothing of the old file is mapped any more. So the interpreter's own
mappings are replaced where they lie: code and constants by those of the new file, which has the same content, and the
variables by a copy of what they hold at that moment. Between the copy and its taking effect no variable may change;
makecontext(3) makes the C library call memcpy(3) and mremap(2) in a row, with nothing of Python in between.

docs/design/own-executable.md compares this with the other ways to the same end, and has the prices.
"""

import _signal
import _struct
import posix as os

from pyruntime.kernel.procfs import read
from pyruntime.kernel.syscall import address, buffer, function, pointer, symbol, syscall

_PR_SET_MM, _PR_SET_MM_MAP = 35, 14
_READ, _WRITE, _EXEC = 1, 2, 4
_MAP_PRIVATE, _MAP_FIXED, _MAP_ANONYMOUS, _MAP_POPULATE = 0x02, 0x10, 0x20, 0x8000
_MREMAP_MAYMOVE, _MREMAP_FIXED = 1, 2
_NO_FD = 0xFFFFFFFFFFFFFFFF  # -1 in a register
_PT_LOAD, _PF_W = 1, 2
_CONTEXT = 8192  # bytes; ucontext_t has 968 on x86_64 and 4560 on aarch64
_UC_LINK = 8  # its offset there, in bytes, on both
_STACK = 16384

TYPE_CHECKING = False
if TYPE_CHECKING:
    Call = tuple[str, int, int, int] | tuple[str, int, int, int, int, int]


class Mapping:
    """One line of /proc/self/maps (proc_pid_maps(5)): addresses and sizes in bytes."""

    def __init__(self, line: str) -> None:
        span, rights, offset, _, _, self.path = (line.split(None, 5) + [""])[:6]
        start, _, end = span.partition("-")
        self.start = int(start, 16)
        self.end = int(end, 16)
        self.size = self.end - self.start
        self.offset = int(offset, 16)
        self.rights = sum(bit for letter, bit in (("r", _READ), ("w", _WRITE), ("x", _EXEC)) if letter in rights)


def replace_executable(fd: int) -> None:
    """Make the file behind `fd`, a copy of our own executable, the one that /proc/self/exe leads to.

    Needs CAP_CHECKPOINT_RESTORE (before Linux 5.9 CAP_SYS_ADMIN) in our user namespace and one thread. Raises
    OSError: EPERM, EINVAL without CONFIG_CHECKPOINT_RESTORE, ENOENT where the C library has no makecontext.
    """
    old = os.readlink("/proc/self/exe")
    variables = _variables(fd)
    blocked = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())  # a handler would change variables
    try:
        lines = [line for line in read("/proc/self/maps").splitlines() if line.endswith(old)]
        ours = [mapping for mapping in map(Mapping, lines) if mapping.path == old]
        _replace(ours, fd, variables)
        _set_link(fd)
    finally:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, blocked)


def _variables(fd: int) -> "list[tuple[int, int]]":
    """Where in an ELF file the writable segments begin and end, in bytes: elf(5)."""
    header = os.pread(fd, 64, 0)
    start, entry, count = _struct.unpack_from("Q", header, 32)[0], *_struct.unpack_from("2H", header, 54)
    table = os.pread(fd, entry * count, start)
    page = os.sysconf("SC_PAGESIZE")
    found = []
    for at in range(0, entry * count, entry):
        kind, flags, offset, _, _, size = _struct.unpack_from("2I4Q", table, at)
        if kind == _PT_LOAD and flags & _PF_W:
            found.append((offset // page * page, offset + size))
    return found


def _replace(mappings: "list[Mapping]", fd: int, variables: "list[tuple[int, int]]") -> None:
    kept = []
    for mapping in mappings:
        if any(start <= mapping.offset < end for start, end in variables):
            kept.append(mapping)
        else:
            kind = _MAP_PRIVATE | _MAP_FIXED
            syscall("mmap", mapping.start, mapping.size, mapping.rights, kind, fd, mapping.offset)
    while kept:
        count = next((at for at in range(1, len(kept)) if kept[at].start != kept[at - 1].end), len(kept))
        _copy_in_place(kept[:count])
        kept = kept[count:]


def _copy_in_place(adjacent: "list[Mapping]") -> None:
    """Put anonymous memory with the same content where variables lie, in mappings one after the other."""
    start, size = adjacent[0].start, adjacent[-1].end - adjacent[0].start
    kind = _MAP_PRIVATE | _MAP_ANONYMOUS | _MAP_POPULATE
    copy = syscall("mmap", 0, size, _READ | _WRITE, kind, _NO_FD, 0)
    how = _MREMAP_MAYMOVE | _MREMAP_FIXED
    _in_a_row(("memcpy", copy, start, size), ("mremap", copy, size, size, how, start))
    for mapping in adjacent:
        if not mapping.rights & _WRITE:  # what the linker made read-only once it was done with it
            syscall("mprotect", mapping.start, mapping.size, mapping.rights)


def _in_a_row(first: "Call", second: "Call") -> None:
    """Call two C functions, the second when the first returns, and go on here when that does: makecontext(3)."""
    here, one, two = (buffer(_CONTEXT) for _ in range(3))
    stacks = buffer(_STACK), buffer(_STACK)  # each context returns on its own
    for context, stack, link, (name, *arguments) in ((one, stacks[0], two, first), (two, stacks[1], here, second)):
        function("getcontext")(pointer(address(context)))
        _struct.pack_into("4Q", context, _UC_LINK, address(link), address(stack), 0, _STACK)  # uc_link, uc_stack
        where = pointer(address(context))
        function("makecontext")(where, pointer(symbol(name)), pointer(len(arguments)), *map(pointer, arguments))
    function("swapcontext")(pointer(address(here)), pointer(address(one)))


def _set_link(fd: int) -> None:
    """prctl(PR_SET_MM_MAP) with everything as it is (fields of proc_pid_stat(5)) but the executable."""
    text = read("/proc/self/stat")
    fields = ["", "", "", *text[text.rindex(")") + 2 :].split()]  # counted from 1 in the man page; 3 is the state
    code, data, heap, stack = fields[26:28], fields[45:47], fields[47], fields[28]
    before, after = map(int, (*code, *data, heap)), map(int, (stack, *fields[48:52]))  # the last: argv, environment
    layout = _struct.pack("12Q2I", *before, syscall("brk", 0), *after, 0, 0, fd)
    syscall("prctl", _PR_SET_MM, _PR_SET_MM_MAP, layout, len(layout), 0)
