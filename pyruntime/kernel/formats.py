"""What the kernel will make of a program's file: binfmt_script and binfmt_elf, as execve(2) meets them.

Two kinds of answer. A missing interpreter or loader is sure to fail, so it can be told before anybody waits for the
program. A format that nobody here knows may yet have a handler: those of binfmt_misc are not seen from inside a
container, or from a host that is one. What is said of it is kept until execve has refused the file.
"""

import posix as os

from pyruntime.errors import one_line, reason

_HEAD = 4096  # bytes; the first line, and in nearly every ELF file all that is asked for
_LINE = 256  # bytes of the first line that the kernel looks at (Linux 5.1; 128 before)
_DEPTH = 6  # a script's interpreter may be a script: five times, execve(2)
_S_IFMT, _S_IFREG, _S_IFDIR, _ANY_X = 0o170000, 0o100000, 0o040000, 0o111
_ABSENT = os.strerror(2).lower()
DENIED = os.strerror(13).lower()
FOLDER = "it is a directory"
WASM = "WebAssembly, which the kernel does not execute"
_ST_NOEXEC = 8  # statvfs(3)
_LARGEST = 2**63 - 4096 * 16  # bytes; an offset beyond is none (loff_t)
_PT_INTERP, _MOST_PROGRAM_HEADERS = 3, 1024
# elf(5), <linux/elf-em.h> -> uname(2)
_MACHINES = {
    3: "i386", 8: "mips", 21: "ppc64", 22: "s390x", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64",
    258: "loongarch64",
}  # fmt: skip
_TYPES = {1: "an object file that was not linked", 4: "a core dump"}
_MAGIC = (
    (b"\xef\xbb\xbf#!", 'a script with a byte order mark before its "#!"'),
    (b"\0asm", WASM),
    (b"MZ", "a program for Windows"),
    (b"\xcf\xfa\xed\xfe", "a program for macOS"),
    (b"\xca\xfe\xba\xbe", "a program for macOS, or a Java class"),
)


def refused(path: str) -> "tuple[str, str]":
    """Why we may not execute the file at a path: the errno's text, and what was found if it was; "" twice if we may."""
    try:
        found = os.stat(path)
    except OSError as error:
        return reason(error), ""
    if found.st_mode & _S_IFMT == _S_IFDIR:
        return DENIED, FOLDER
    # The plain call goes without capabilities, CAP_DAC_OVERRIDE say; a filter may know nothing but the plain one.
    if os.access(path, os.X_OK) or os.access(path, os.X_OK, effective_ids=True):
        return "", ""
    return DENIED, _no_right(path, found)


def _no_right(path: str, found: "os.stat_result") -> str:
    mode = f"mode is {found.st_mode & 0o7777:04o}"
    if not found.st_mode & _ANY_X:
        return f"{mode}, needs an x bit"
    if os.statvfs(path).f_flag & _ST_NOEXEC:
        return "its mount is noexec"
    return f"{mode}, owner {found.st_uid}:{found.st_gid}, the process is {os.geteuid()}:{os.getegid()}"


def judge(path: str) -> "tuple[str, str]":
    """What is sure to keep execve(2) from running a file that we may execute, and what would explain its ENOEXEC.

    Each begins as the rest of a sentence, or is "". A file that we may not read is not judged.
    """
    whose, it = "its", ""
    for _ in range(_DEPTH):
        head, needs, loader = _read(path)
        if not needs:
            return "", _doubt(head, it)
        word, found = refused(needs)
        if word:
            return f"{word}: {_told(whose, needs, loader, word, found)}", ""
        if loader:
            return "", _doubt(head, it)
        path, whose = needs, f"{one_line(needs)}'s"
        it = f"its interpreter {one_line(needs)} is "
    return "", ""


def _told(whose: str, needs: str, loader: bool, word: str, found: str) -> str:
    if needs.endswith("\r"):
        line = "line 1" if whose == "its" else f"{whose} line 1"
        return f'{line} ends in CR LF, so the kernel looks for "{one_line(needs)}"'
    absent = "is not in the container" if word == _ABSENT else ""
    what = f"{whose} {'loader' if loader else 'first line needs'} {one_line(needs)}"
    if not absent:
        return f"{what}: {found}" if found else what
    return f"{what} {absent}" if loader else f"{what}, which {absent}"


def _read(path: str) -> "tuple[bytes | None, str, bool]":
    """The first bytes of a regular file (None: not to be read), the program it needs, and whether as its loader."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None, "", False
    try:
        if os.fstat(fd).st_mode & _S_IFMT != _S_IFREG:
            return None, "", False
        head = os.read(fd, _HEAD)
        needs = _loader(fd, head) if head.startswith(b"\x7fELF") else interpreter(head)
        return head, needs.decode("utf-8", "surrogateescape"), head.startswith(b"\x7fELF")
    except OSError:
        return None, "", False
    finally:
        os.close(fd)


def is_static(path: str) -> bool:
    """Whether the file is an ELF program of this machine that names no loader; False where it can't be read."""
    head, needs, _ = _read(path)
    return head is not None and head.startswith(b"\x7fELF") and machine(head) == os.uname().machine and not needs


def interpreter(head: bytes) -> bytes:
    """The program that a script's first line names, b"" if none does; as the kernel reads it, a CR included."""
    if not head.startswith(b"#!"):
        return b""
    line, end, _ = head[2:_LINE].partition(b"\n")
    words = line.replace(b"\t", b" ").partition(b"\0")[0].lstrip(b" ")
    word, blank, _ = words.partition(b" ")
    return word if end or blank or len(head) < _LINE else b""


def _loader(fd: int, head: bytes) -> bytes:
    """PT_INTERP of an ELF file of this machine, b"" if it has none. Raises OSError."""
    if machine(head) != os.uname().machine:
        return b""
    wide = head[4:5] == b"\2"
    word = 8 if wide else 4
    start, size, count = _at(head, 24 + word, word), _at(head, 30 + 3 * word, 2), _at(head, 32 + 3 * word, 2)
    if size != (56 if wide else 32):  # the kernel takes no other (sizeof struct elf_phdr)
        return b""
    order = head[5:6]
    table = _part(fd, head, start, size * min(count, _MOST_PROGRAM_HEADERS))
    for entry in range(0, len(table), size or 1):
        if _at(table, entry, 4, order) == _PT_INTERP:
            offset, length = _at(table, entry + word, word, order), _at(table, entry + 4 * word, word, order)
            return _part(fd, head, offset, min(length, _HEAD)).partition(b"\0")[0]
    return b""


def _part(fd: int, head: bytes, start: int, size: int) -> bytes:
    if start + size <= len(head):
        return head[start : start + size]
    return os.pread(fd, size, start) if start <= _LARGEST else b""


def _at(data: bytes, start: int, size: int, order: bytes = b"") -> int:
    """An unsigned number of an ELF file; `order` is byte 5 of its header, which `data` begins with otherwise."""
    return int.from_bytes(data[start : start + size], "big" if (order or data[5:6]) == b"\2" else "little")


def machine(head: bytes) -> str:
    """The machine an ELF file is built for, as uname(2) names it where we know it; "" for a header cut short."""
    if len(head) < 52:
        return ""
    number = _at(head, 18, 2)
    name = _MACHINES.get(number, f"machine {number}")
    return "ppc64le" if name == "ppc64" and head[5:6] == b"\1" else name


def _doubt(head: "bytes | None", it: str) -> str:
    """What a file is that the kernel has no handler for; "" where nothing can be told. `it` says whose it is."""
    told = _kind(head) if head is not None else ""
    return it + told if told else ""


def _kind(head: bytes) -> str:
    if not head:
        return "empty"
    if head.startswith(b"\x7fELF"):
        return _foreign(head)
    if head.startswith(b"#!"):
        return f"a script whose first line names no program in its first {_LINE} bytes"
    known = next((name for magic, name in _MAGIC if head.startswith(magic)), "")
    return known or ("neither ELF nor a script" if b"\0" in head else 'a text file without "#!"')


def _foreign(head: bytes) -> str:
    built, ours = machine(head), os.uname().machine
    if not built:
        return "an ELF file that was cut short"
    if built != ours:
        return f"built for {built}, this host is {ours}"
    return _TYPES.get(_at(head, 16, 2), "")
