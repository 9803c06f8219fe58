"""Where engine packages lie.

The command runs without site-packages (`-S`), so that nothing but the standard library and pyruntime can be imported
by accident. An engine, or another package of an extra, is looked for by name, in a short list of directories, and only
there.
"""

import posix as os
import sys

from pyruntime.errors import Error, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

_SYSTEM = ("/usr/local/lib", "/usr/lib")
_KINDS = ("site-packages", "dist-packages")
_WORLD_WRITABLE, _STICKY = 0o002, 0o1000


def find_package(name: str, kind: str = "engine") -> tuple[str, str]:
    """The directory that holds the package `name`, and the version its metadata states ("" without metadata).

    Raises Error when there is none, or when the one found could be changed by somebody who is neither root, nor this
    user, nor the owner of pyruntime itself.
    """
    refused = ""
    for place in places():
        if _is_there(f"{place}/{name}"):
            refused = untrusted(f"{place}/{name}")
            if not refused:
                return place, _version(place, name)
    if refused:
        raise Error(f"{kind} {name}: {refused}; install it as root: {installing(name)}")
    looked = ", ".join(place for place in places() if _is_there(place))
    raise Error(f"{kind} {name}: no Python package {name} in {looked}; install it: {installing(name)}")


def installing(name: str) -> str:
    """The command that installs a package for this Python, which may be its distribution's (PEP 668)."""
    managed = f"{sys.base_prefix}/{sys.platlibdir}/python3.{sys.version_info[1]}/EXTERNALLY-MANAGED"
    marked = sys.prefix == sys.base_prefix and _is_there(managed)
    return f"pip install {'--break-system-packages ' if marked else ''}{name}"


def load_package(name: str) -> "ModuleType":
    """Import a package that is no engine but looked for as one. Raises Error that says how to get it."""
    if name not in sys.modules:
        place, _ = find_package(name, "package")
        if place not in sys.path:
            sys.path.append(place)
    try:
        return __import__(name)
    except ImportError as error:
        raise Error(f"package {name}: {one_line(str(error))}; install it again: pip install {name}") from None


def places() -> list[str]:
    """The directories searched, most specific first: beside pyruntime, its checkout's .venv, the system's."""
    home = _own_directory()
    found = [home, *sys.path]
    for lib in (f"{home}/.venv/lib", *_SYSTEM):
        pythons = sorted(entry for entry in _names(lib) if entry.startswith("python3"))
        found += [f"{lib}/{python}/{kind}" for python in pythons for kind in _KINDS]
    return list(dict.fromkeys(place for place in found if place))


def untrusted(path: str) -> str:
    """Say why code at `path` must not be loaded, or "" when every directory on the way there is in trusted hands."""
    trusted = {0, os.geteuid(), os.stat(__file__).st_uid}
    path = _canonical(path)
    while True:
        info = os.stat(path)
        if info.st_uid not in trusted:
            return f"{path} belongs to uid {info.st_uid}"
        if info.st_mode & _WORLD_WRITABLE and not info.st_mode & _STICKY:
            return f"{path} can be written by everybody"
        if path == "/":
            return ""
        path = path.rpartition("/")[0] or "/"


def cpu() -> str:
    """What compiled code may depend on: the machine's name, and its first CPU's features by their digest.

    Some kernels name the features `flags`, others `Features`: proc_cpuinfo(5).
    """
    import _blake2

    fd = os.open("/proc/cpuinfo", os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(fd, 4096)
    finally:
        os.close(fd)
    features = next((line for line in text.splitlines() if line.startswith((b"flags", b"Features", b"isa"))), b"")
    return f"{os.uname().machine} {_blake2.blake2b(features, digest_size=8).hexdigest()}"


def _canonical(path: str) -> str:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def _own_directory() -> str:
    """The directory the package pyruntime lies in."""
    return _canonical(__file__).rsplit("/", 3)[0]


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _is_there(path: str) -> bool:
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def _version(place: str, name: str) -> str:
    prefix, suffix = f"{name}-", ".dist-info"
    for entry in _names(place):
        if entry.startswith(prefix) and entry.endswith(suffix):
            return entry[len(prefix) : -len(suffix)]
    return ""
