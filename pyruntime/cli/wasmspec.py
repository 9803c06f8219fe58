"""What `spec --wasm` writes: a bundle around one WebAssembly program, which needs less than a shell does.

A guest reaches files through its engine, and nothing of /proc, /sys or a terminal: only a scratch /tmp and the nodes
of /dev are mounted beside the module. It has no capabilities, and a network of its own, which is empty.
"""

import posix as os

from pyruntime.cli import defaultspec
from pyruntime.cli.made import Made
from pyruntime.engine.select import HEAD, LARGEST, kind_of
from pyruntime.errors import Error, explain_oserror

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.cli.defaultspec import Json

_KINDS = ("wasm-module", "wasm-component", "wat")
_S_IFMT, _S_IFREG = 0o170000, 0o100000
_MOUNTS = (
    ("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    ("/tmp", "tmpfs", "tmpfs", ("nosuid", "noexec", "nodev", "mode=1777", "size=65536k")),
)
_CHUNK = 1 << 20


def document(program: str, arguments: "list[str]", rootless: bool = False) -> "Json":
    """The config.json that runs `program`, a path in the container, with these arguments after its name."""
    found = defaultspec.document(rootless)
    found["process"].update(terminal=False, args=[program, *arguments], env=[])
    found["process"]["capabilities"] = {kind: [] for kind in found["process"]["capabilities"]}
    found["mounts"] = [
        {"destination": place, "type": kind, "source": source, "options": list(options)}
        for place, kind, source, options in _MOUNTS
    ]
    linux = found["linux"]
    del linux["maskedPaths"], linux["readonlyPaths"]
    if rootless:
        linux["namespaces"].append({"type": "network"})
    return found


def place(made: Made, module: str, folder: str) -> str:
    """Copy a module into the root file system of the bundle `folder` and return its path in there. Raises Error.

    The directories are made where they are missing; a file that is there is never replaced.
    """
    name = _name(module)
    source = _open(module)
    try:
        _demand_program(module, source)
        made.folder(folder)
        made.folder(f"{folder}/rootfs")
        made.file(f"{folder}/rootfs/{name}", iter(lambda: os.read(source, _CHUNK), b""), 0o644)
    finally:
        os.close(source)
    return f"/{name}"


def _name(module: str) -> str:
    """The module's name in the container: WASI takes no argument that is not UTF-8."""
    name = module.rpartition("/")[2]
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise Error(f"--wasm {module}: the name is not UTF-8, and WASI hands nothing else to a module") from None
    return name


def _open(module: str) -> int:
    try:
        # A fifo has no writer yet, and is refused as what it is.
        return os.open(module, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Error(f"--wasm {explain_oserror(error)}") from None


def _demand_program(module: str, fd: int) -> None:
    """See that this is what a Wasm container can run. Raises Error."""
    info = os.fstat(fd)
    if info.st_mode & _S_IFMT != _S_IFREG:
        raise Error(f"--wasm {module}: not a regular file, which a WebAssembly program has to be")
    if info.st_size > LARGEST:
        raise Error(f"--wasm {module}: has {info.st_size} bytes, a module may have {LARGEST}")
    kind = kind_of(os.pread(fd, HEAD, 0))
    if kind not in _KINDS:
        found = {"elf": "a native program", "script": "a script"}.get(kind, "neither WebAssembly binary nor text")
        raise Error(f"--wasm {module}: is {found}; `pyruntime spec` without --wasm is for programs of Linux")
