"""Where state lives."""

import pytest

from pyruntime.errors import Error
from pyruntime.state.roots import check_root, default_root, root_mode

XDG = {b"XDG_RUNTIME_DIR": b"/run/user/7"}


@pytest.mark.parametrize(
    ("environ", "euid", "inside", "root"),
    [
        ({}, 0, False, "/run/pyruntime"),
        (XDG, 0, False, "/run/pyruntime"),
        (XDG, 7, False, "/run/user/7/pyruntime"),
        (XDG, 0, True, "/run/user/7/pyruntime"),
        ({**XDG, b"USER": b"root"}, 0, True, "/run/pyruntime"),
        ({**XDG, b"USER": b"root"}, 7, False, "/run/user/7/pyruntime"),
        ({}, 7, False, "/run/pyruntime"),
        ({b"XDG_RUNTIME_DIR": b""}, 7, False, "/run/pyruntime"),
        ({b"XDG_RUNTIME_DIR": b"/\xff"}, 7, False, "/\udcff/pyruntime"),
    ],
)
def test_default(environ: "dict[bytes, bytes]", euid: int, inside: bool, root: str) -> None:
    assert default_root(environ, euid, inside) == root


def test_given() -> None:
    assert check_root("/a//b/../c/") == "/a/c"
    assert check_root("x").endswith("/x")
    for path in ("/", "/a/..", "//"):
        with pytest.raises(Error, match="--root"):
            check_root(path)


@pytest.mark.parametrize(
    ("root", "environ", "mode"),
    [
        ("/run/user/7/pyruntime", XDG, 0o1700),
        ("/run/user/7/other", XDG, 0o700),
        ("/run/pyruntime", XDG, 0o700),
        ("/pyruntime", {b"XDG_RUNTIME_DIR": b""}, 0o700),
    ],
)
def test_a_root_below_the_runtime_directory_is_not_cleaned_up(
    root: str, environ: "dict[bytes, bytes]", mode: int
) -> None:
    assert root_mode(root, environ) == mode
