"""Does this container hold a Wasm module, and who is to run it? Annotations first, then the program's first bytes.

| annotation                       | value               | means                                             |
|----------------------------------|---------------------|---------------------------------------------------|
| `run.oci.handler`                | `wasm`, an engine   | a module, by that engine; anything else is refused |
|                                  | `wasm-smart`        | a module if the name ends so or the content is one |
| `module.wasm.image/variant`      | `compat`            | as `wasm`                                         |
|                                  | `compat-smart`      | as `wasm-smart`                                   |
| none of them                     |                     | a module if the content is one                    |

`args[0]` may name an exported function behind a `#`, which is called in the place of `_start`.

The pause container of a pod gets the pod's annotations too and is never a module. Nothing is opened here but through
the function that is passed in.
"""

import posix as os

from pyruntime.errors import ConfigError, Error, Unsupported, explain_oserror
from pyruntime.pathtext import DEFAULT_PATH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyruntime.config.process import Process
    from pyruntime.config.spec import Config

ENGINES = ("wasmtime", "wasmer", "wasmedge", "wamr")
HANDLER, VARIANT = "run.oci.handler", "module.wasm.image/variant"
_SANDBOX_MARKS = ("io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType")
_SUFFIXES = (".wasm", ".wat")
_PROGRAM = "process.args[0]"
START = "_start"

HEAD = 4096  # bytes that kind_of needs to see
LARGEST = 256 << 20  # bytes of a module; the largest in common use, a chip design suite, has 69 MiB
KINDS = ("wasm-module", "wasm-component", "wat")
_S_IFMT, _S_IFREG, _ANY_X = 0o170000, 0o100000, 0o111


class Selection:
    """A program to run by an engine: its bytes, its path in the container, and what asked for it.

    `engine` is the one asked for ("" for any), `kind` is wasm-module, wasm-component or wat as `kind_of` says it (a
    component's text is a wasm-component too), `function` the export to call. `file` is what identifies the file that
    was read, `digest` what its content is known by once it is prepared.
    """

    __slots__ = ("because", "digest", "engine", "file", "function", "kind", "path", "wasm")

    def __init__(
        self,
        engine: str,
        path: str,
        wasm: bytes,
        because: str,
        kind: str = "wasm-module",
        function: str = START,
        file: "tuple[int, ...]" = (),
    ) -> None:
        self.engine = engine
        self.path = path
        self.wasm = wasm
        self.because = because
        self.kind = kind
        self.function = function
        self.file = file
        self.digest = ""

    def is_same(self, found: "os.stat_result") -> bool:
        """Whether this is the file that was read, unchanged since."""
        return self.file == identity(found)

    def may_equal(self, found: "os.stat_result") -> bool:
        """Whether this is a regular file of the size of the one that was read."""
        return found.st_mode & _S_IFMT == _S_IFREG and found.st_size == self.file[_SIZE]

    def argv(self, args: "list[str]") -> "list[str]":
        """The guest's arguments: as configured, without the function behind the program's name."""
        return [args[0].removesuffix(f"#{self.function}"), *args[1:]]


_SIZE = 2  # where it is in an identity


def identity(found: "os.stat_result") -> "tuple[int, ...]":
    """What tells one file from others, and one content of it from later ones."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class Choice:
    """What the annotations say: `native`, `wasm` or `content` (the bytes decide); `because` is their config path."""

    __slots__ = ("because", "engine", "verdict")

    def __init__(self, verdict: str, engine: str = "", because: str = _PROGRAM) -> None:
        self.verdict = verdict
        self.engine = engine
        self.because = because


def choose(annotations: "dict[str, str]", program: str) -> Choice:
    """Judge by annotations and the program's name alone. Raises Unsupported for a handler that is not there."""
    if any(annotations.get(mark) == "sandbox" for mark in _SANDBOX_MARKS):
        return Choice("native")
    handler = annotations.get(HANDLER, "")
    if handler:
        return _by_handler(handler, program)
    variant = annotations.get(VARIANT, "")
    if variant in ("compat", "compat-smart"):
        return _by_name(variant, "", program, f'annotations["{VARIANT}"]')
    return Choice("content")


def _by_handler(handler: str, program: str) -> Choice:
    because = f'annotations["{HANDLER}"]'
    engine = handler.removesuffix("-smart")
    if engine != "wasm" and engine not in ENGINES and engine not in _of_packages():
        known = ", ".join(("wasm", "wasm-smart", *ENGINES, *_of_packages()))
        raise Unsupported(because, f'no handler "{handler}"; use one of {known}, or remove the annotation')
    return _by_name(handler, "" if engine == "wasm" else engine, program, because)


def _of_packages() -> "tuple[str, ...]":
    from pyruntime.engine import plugins  # only for a name that is none of ours

    return plugins.names()


def _by_name(value: str, engine: str, program: str, because: str) -> Choice:
    if value.endswith("-smart") and not split(program)[0].endswith(_SUFFIXES):
        return Choice("content", engine, because)
    return Choice("wasm", engine, because)


def kind_of(data: bytes) -> str:
    """Name a program by its first HEAD bytes: elf, script, wasm-module, wasm-component, wat or other.

    The preamble of a binary is `\\0asm`, a 16-bit version and a 16-bit layer: 0 is a module, 1 a component.
    """
    if data.startswith(b"\0asm"):
        return "wasm-component" if data[6:8] == b"\1\0" else "wasm-module"
    if data.startswith(b"\x7fELF"):
        return "elf"
    if data.startswith(b"#!"):
        return "script"
    return _text_kind(data)


def _text_kind(data: bytes) -> str:
    text = _after_comments(data)
    if not text.startswith(b"("):
        return "other"
    word = text[1:].lstrip().split(None, 1)[:1]
    name = word[0].partition(b"(")[0].rstrip(b")") if word else b""
    return {b"module": "wat", b"component": "wasm-component"}.get(name, "other")


def _after_comments(data: bytes) -> bytes:
    """Drop white space, `;; line` and `(; block ;)` comments from the start of WAT text."""
    while True:
        data = data.lstrip()
        if data.startswith(b";;"):
            data = data.partition(b"\n")[2]
        elif data.startswith(b"(;"):
            data = _after_block(data)
        else:
            return data


def _after_block(data: bytes) -> bytes:
    """What follows a block comment, which may hold others; nothing where it does not end."""
    depth, place = 1, 2
    while depth:
        begin, end = data.find(b"(;", place), data.find(b";)", place)
        if end < 0:
            return b""
        deeper = 0 <= begin < end
        depth, place = (depth + 1, begin + 2) if deeper else (depth - 1, end + 2)
    return data[place:]


def candidates(program: str, env: "list[str]", cwd: str) -> "list[str]":
    """The absolute paths a program may lie at: as execvp(3) looks in PATH; a module also in the working directory."""
    if "/" in program:
        return [program if program.startswith("/") else f"{cwd}/{program}"]
    path = next((entry[5:] for entry in reversed(env) if entry.startswith("PATH=")), "") or DEFAULT_PATH
    directories = [place if place.startswith("/") else f"{cwd.rstrip('/')}/{place}" for place in path.split(":")]
    if program.endswith(_SUFFIXES):
        directories.append(cwd)
    return [f"{directory.rstrip('/')}/{program}" for directory in directories]


def split(program: str) -> "tuple[str, str]":
    """`path#function` taken apart; the function is `_start` where none is named."""
    path, _, function = program.partition("#")
    return path, function or START


def detect(config: "Config", open_program: "Callable[[str], int]") -> "Selection | None":
    """The module that the container's first process runs, or None for a native program.

    `open_program` opens a path inside the container's root for reading, without blocking, and returns a descriptor;
    an OSError from it means that there is no such file. Raises ConfigError, Unsupported.
    """
    process = config.process
    if process is None or not process.args:
        return None
    return _selected(process, choose(config.annotations, process.args[0]), open_program)


def detect_joined(
    process: "Process", annotations: "dict[str, str]", open_program: "Callable[[str], int]"
) -> "Selection | None":
    """The module that `exec` runs in a container with these annotations, or None for a native program.

    They choose the engine; what the program is, its content says, so that a Wasm container's tools can be run too.
    Raises ConfigError, Unsupported.
    """
    choice = choose(annotations, process.args[0])
    if choice.verdict == "wasm":
        choice = Choice("content", choice.engine, choice.because)
    return _selected(process, choice, open_program)


def _selected(process: "Process", choice: Choice, open_program: "Callable[[str], int]") -> "Selection | None":
    if choice.verdict == "native":
        return None
    program = process.args[0]
    found = _open_first(candidates(program, process.env, process.cwd), open_program)
    function = START
    if found is None and "#" in program:  # a file may have that in its name
        path, function = split(program)
        found = _open_first(candidates(path, process.env, process.cwd), open_program) if path else None
    if found is None:
        _refuse_absent(choice, program)
        return None
    path, fd = found
    try:
        selection = _read_module(choice, path, fd, function)
    finally:
        os.close(fd)
    if selection is not None:
        _check_text("process.args", process.args)
        _check_text("process.env", process.env)
    return selection


def _open_first(paths: "list[str]", open_program: "Callable[[str], int]") -> "tuple[str, int] | None":
    """The first that is a regular file; of several, one that is neither executable nor a module is passed over."""
    for path in paths:
        try:
            fd = open_program(path)
        except OSError:
            continue  # as a shell does; whoever executes the program words the error
        found = os.fstat(fd)
        if found.st_mode & _S_IFMT == _S_IFREG and (len(paths) == 1 or _is_program(fd, found.st_mode, path)):
            return path, fd
        os.close(fd)
    return None


def _is_program(fd: int, mode: int, path: str) -> bool:
    return bool(mode & _ANY_X) or kind_of(_read(fd, HEAD, path)) in KINDS


def _refuse_absent(choice: Choice, program: str) -> None:
    """Leave a missing program to execve, whose errors callers know, unless it was to be a module."""
    if choice.verdict == "wasm":
        why = "no such file or directory" if "/" in program else "executable file not found in $PATH"
        raise Error(f'exec: "{program}": {why}: no such module in root.path or on a bind mount [{_PROGRAM}]')


def _read_module(choice: Choice, path: str, fd: int, function: str) -> "Selection | None":
    """The file with its content if it is to be run as a module."""
    kind = kind_of(_read(fd, HEAD, path))
    if kind in KINDS:
        wasm = _content(path, fd)
        return Selection(choice.engine, path, wasm, choice.because, kind, function, identity(os.fstat(fd)))
    if choice.verdict == "wasm":
        found = {"elf": "a native program", "script": "a script"}.get(kind, "neither WebAssembly binary nor text")
        advice = "remove the annotation or use its -smart form, which lets native programs through"
        raise ConfigError(_PROGRAM, f"{path} is {found}, but {choice.because} asks for a Wasm module; {advice}")
    return None


def _content(path: str, fd: int) -> bytes:
    size = os.fstat(fd).st_size
    if size > LARGEST:
        raise ConfigError(_PROGRAM, f"{path} has {size} bytes, a module may have {LARGEST}")
    return _read(fd, size, path)


def _read(fd: int, size: int, path: str) -> bytes:
    """The first `size` bytes, fewer where the file ends before."""
    parts: "list[bytes]" = []
    left, offset = size, 0
    try:
        while left > 0 and (part := os.pread(fd, left, offset)):
            parts.append(part)
            left -= len(part)
            offset += len(part)
    except OSError as error:
        raise ConfigError(_PROGRAM, f"{path}: {explain_oserror(error)}") from None
    return b"".join(parts)


def _check_text(path: str, texts: "list[str]") -> None:
    for index, text in enumerate(texts):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise ConfigError(f"{path}[{index}]", "is not UTF-8, and WASI hands nothing else to a module") from None
