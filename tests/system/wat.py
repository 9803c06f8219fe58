"""Guest programs for WASI preview 1, put together from a few words: WAT text, without a toolchain.

    program = Program()
    program.say("open", program.open(0, "etc/passwd"))     # prints "open 0", or the errno
    program.say("read", program.read(0))

A slot is a place in memory that holds a descriptor: 0, 1, 2 and so on. Paths are looked up below the directory that the
guest was given as "/".
"""

ROOT = "(global.get $root)"
READ, WRITE = 1 << 1, 1 << 6  # __WASI_RIGHTS_FD_READ, FD_WRITE
READDIR, SET_SIZE = 1 << 14, 1 << 22
CREATE, DIRECTORY, EXCLUSIVE, TRUNCATE = 1, 2, 4, 8  # __WASI_OFLAGS_*
APPEND = 1  # __WASI_FDFLAGS_APPEND
ACCES, BADF, EXIST, NOENT, NOTCAPABLE, PERM, ROFS, LOOP, XDEV = 2, 8, 20, 44, 76, 63, 69, 32, 75
MFILE, FBIG, INVAL = 33, 22, 28

_SLOTS, _IOVEC, _RESULT, _TEXT, _BUFFER = 1024, 16, 64, 4096, 65536
_LONG = {  # functions with 64-bit parameters, one letter for each: i is i32, I is i64
    "path_open": "iiiiiIIii", "path_filestat_set_times": "iiiiIIi", "fd_filestat_set_size": "iI", "fd_seek": "iIii",
    "fd_readdir": "iiiIi", "fd_allocate": "iII", "fd_advise": "iIIi", "clock_time_get": "iIi", "fd_pread": "iiiIi",
    "fd_pwrite": "iiiIi", "fd_filestat_set_times": "iIIi",
}  # fmt: skip
_SAY = """
  (func $put (param $at i32) (param $size i32)
    (i32.store (i32.const 16) (local.get $at)) (i32.store (i32.const 20) (local.get $size))
    (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24))))
  (func $say (param $at i32) (param $size i32) (param $value i32) (local $end i32)
    (call $put (local.get $at) (local.get $size))
    (local.set $end (i32.const 63)) (i32.store8 (local.get $end) (i32.const 10))
    (loop $digit
      (local.set $end (i32.sub (local.get $end) (i32.const 1)))
      (i32.store8 (local.get $end) (i32.add (i32.const 48) (i32.rem_u (local.get $value) (i32.const 10))))
      (local.set $value (i32.div_u (local.get $value) (i32.const 10)))
      (br_if $digit (local.get $value)))
    (call $put (local.get $end) (i32.sub (i32.const 64) (local.get $end))))
  (func $find_root (local $fd i32)
    (local.set $fd (i32.const 3))
    (block $no_more (loop $next
      (br_if $no_more (call $fd_prestat_get (local.get $fd) (i32.const 64)))
      (if (i32.eq (i32.load (i32.const 68)) (i32.const 1)) (then (global.set $root (local.get $fd))))
      (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
      (br $next))))"""


class Program:
    """A module whose `_start` (or `function`) does what was said, in order."""

    def __init__(self, function: str = "_start", pages: int = 2, more: str = "") -> None:
        """`pages`: of 64 KiB, at first; `more`: WAT text beside the functions."""
        self.function = function
        self.pages = pages
        self.more = more
        self.lines: "list[str]" = []
        self.data = b""
        self.used: "dict[str, str]" = {"fd_write": "iiii", "fd_prestat_get": "ii"}

    def string(self, text: "str | bytes") -> "tuple[int, int]":
        """Put a string in memory: its address and size."""
        content = text.encode() if isinstance(text, str) else text
        address = _TEXT + len(self.data)
        self.data += content
        return address, len(content)

    def call(self, name: str, *arguments: "int | str") -> str:
        """A call of a WASI function; numbers become constants."""
        shape = _LONG.get(name, "i" * len(arguments))
        self.used[name] = shape
        words = [
            f"(i{64 if letter == 'I' else 32}.const {value})" if isinstance(value, int) else value
            for letter, value in zip(shape, arguments, strict=True)
        ]
        return f"(call ${name} {' '.join(words)})"

    def do(self, text: str) -> "Program":
        """Statements that leave nothing on the stack."""
        self.lines.append(text)
        return self

    def drop(self, text: str) -> "Program":
        """An expression whose value is of no interest."""
        return self.do(f"(drop {text})")

    def say(self, label: str, text: str) -> "Program":
        """Print the label and the number that an expression gives."""
        address, size = self.string(f"{label} ")
        return self.do(f"(call $say (i32.const {address}) (i32.const {size}) {text})")

    def print(self, text: "str | bytes") -> "Program":
        """Print a text."""
        address, size = self.string(text)
        return self.do(f"(call $put (i32.const {address}) (i32.const {size}))")

    def open(self, slot: int, path: str, flags: int = 0, rights: int = READ, follow: bool = True, mode: int = 0) -> str:
        """path_open below the root, the descriptor goes to a slot."""
        at = _SLOTS + 4 * slot
        return self.call("path_open", ROOT, int(follow), *self.string(path), flags, rights, 0, mode, at)

    def slot(self, slot: int) -> str:
        """The descriptor in a slot."""
        return f"(i32.load (i32.const {_SLOTS + 4 * slot}))"

    def path(self, name: str, path: str, *more: "int | str") -> str:
        """A call that takes the root and one path: `path_unlink_file` and the like."""
        return self.call(name, ROOT, *self.string(path), *more)

    def times(self, path: str) -> str:
        """utimensat of both times to now."""
        return self.call("path_filestat_set_times", ROOT, 1, *self.string(path), 0, 0, 1 << 1 | 1 << 3)

    def rename(self, old: str, new: str) -> str:
        """path_rename below the root."""
        return self.call("path_rename", ROOT, *self.string(old), ROOT, *self.string(new))

    def link(self, old: str, new: str) -> str:
        """path_link, a hard link, below the root."""
        return self.call("path_link", ROOT, 0, *self.string(old), ROOT, *self.string(new))

    def symlink(self, target: str, new: str) -> str:
        """path_symlink below the root."""
        return self.call("path_symlink", *self.string(target), ROOT, *self.string(new))

    def write(self, slot: int, text: "str | bytes") -> str:
        """fd_write of a text to a slot's descriptor: the errno."""
        address, size = self.string(text)
        self.do(f"(i32.store (i32.const {_IOVEC}) (i32.const {address}))")
        self.do(f"(i32.store (i32.const {_IOVEC + 4}) (i32.const {size}))")
        return self.call("fd_write", self.slot(slot), _IOVEC, 1, _RESULT)

    def read(self, descriptor: "int | str", size: int = 4096) -> str:
        """fd_read into the buffer: the errno. What was read is printed by `show`."""
        self.do(f"(i32.store (i32.const {_IOVEC}) (i32.const {_BUFFER}))")
        self.do(f"(i32.store (i32.const {_IOVEC + 4}) (i32.const {size}))")
        return self.call("fd_read", descriptor, _IOVEC, 1, _RESULT)

    def show(self) -> "Program":
        """Print what the last `read` got."""
        return self.do(f"(call $put (i32.const {_BUFFER}) (i32.load (i32.const {_RESULT})))")

    def cat(self, path: str) -> "Program":
        """Print what a file begins with; the errno of opening it where that fails."""
        opened = self.open(60, path)
        self.do(f"(if (local.tee $errno {opened}) (then")
        self.say("errno", "(local.get $errno)").do(") (else")
        self.drop(self.read(self.slot(60))).show().do("))")
        return self.drop(self.call("fd_close", self.slot(60)))

    def strings(self, what: str) -> "Program":
        """Print what `args` or `environ` hold, each with its NUL."""
        self.drop(self.call(f"{what}_sizes_get", _RESULT, _RESULT + 4))
        self.drop(self.call(f"{what}_get", 32768, _BUFFER))
        return self.do(f"(call $put (i32.const {_BUFFER}) (i32.load (i32.const {_RESULT + 4})))")

    def loop(self) -> "Program":
        """Go round for ever."""
        return self.do("(loop $again (br $again))")

    def exit(self, status: int) -> "Program":
        """proc_exit."""
        self.used["proc_exit"] = "i"
        return self.do(f"(call $proc_exit (i32.const {status})) unreachable")

    def text(self) -> str:
        """The module as WAT."""
        imports = "\n".join(self._import(name, shape) for name, shape in sorted(self.used.items()))
        data = "".join(f"\\{byte:02x}" for byte in self.data)
        lines = "\n    ".join(self.lines)
        return f"""(module
{imports}
  (memory (export "memory") {self.pages}) (data (i32.const {_TEXT}) "{data}")
  (global $root (mut i32) (i32.const 3)){_SAY}
  {self.more}
  (func (export "{self.function}") (local $errno i32) (local $i i32)
    (call $find_root)
    {lines}))"""

    def _import(self, name: str, shape: str) -> str:
        words = " ".join("i64" if letter == "I" else "i32" for letter in shape)
        result = "" if name == "proc_exit" else " (result i32)"
        return f'  (import "wasi_snapshot_preview1" "{name}" (func ${name} (param {words}){result}))'


def told(output: str) -> "dict[str, int]":
    """What `say` printed, by label."""
    pairs = [line.rsplit(" ", 1) for line in output.splitlines()]
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}
