"""Where state lives: --root, or the default of the user."""

from pyruntime.errors import Error
from pyruntime.pathtext import absolute

NAME = "pyruntime"


def default_root(environ: "dict[bytes, bytes]", euid: int, in_user_namespace: bool) -> str:
    """The state root without --root: /run/pyruntime, or below XDG_RUNTIME_DIR for who is not the host's root.

    Root inside a user namespace counts as a user unless USER=root says that it plays root there.
    """
    runtime_dir = os_text(environ.get(b"XDG_RUNTIME_DIR", b""))
    user = euid != 0 or (in_user_namespace and environ.get(b"USER") != b"root")
    return f"{runtime_dir}/{NAME}" if user and runtime_dir else f"/run/{NAME}"


def root_mode(root: str, environ: "dict[bytes, bytes]") -> int:
    """The permissions of a new state root. Directly below XDG_RUNTIME_DIR it is sticky, which spares it from being
    cleaned up by age (XDG Base Directory Specification).
    """
    runtime_dir = os_text(environ.get(b"XDG_RUNTIME_DIR", b""))
    return 0o1700 if runtime_dir and root == f"{runtime_dir}/{NAME}" else 0o700


def os_text(value: bytes) -> str:
    """Bytes of the environment as text."""
    return value.decode("utf-8", "surrogateescape")


def check_root(path: str) -> str:
    """The state root as given with --root, absolute. Raises Error for `/`."""
    root = absolute(path)
    if root == "/":
        raise Error(f"--root {path}: the file system's root can't hold container state; name a directory of its own")
    return root
