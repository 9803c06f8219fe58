"""What stays open of what a caller left open."""

import os

import pytest

from pyruntime.host.descriptors import close_leaked, named


@pytest.mark.parametrize(
    ("path", "fd"),
    [
        ("/dev/fd/63", 63), ("/proc/self/fd/4", 4), ("/dev/fd/", -1), ("/dev/fd/3/x", -1), ("/dev/fd/-3", -1),
        ("/tmp/63", -1), ("", -1), ("/dev/fd/9999999999", -1), ("/dev/fd/\u0663", -1),
    ],
)  # fmt: skip
def test_the_descriptor_that_a_path_names(path: str, fd: int) -> None:
    assert named(path) == fd


@pytest.mark.parametrize(
    ("preserve", "spare", "left"), [(0, -1, ""), (0, 7, "7"), (0, 3, "3"), (2, 4, "34"), (1, 5, "35")]
)
def test_all_but_the_spare_one_and_those_to_pass_on(preserve: int, spare: int, left: str) -> None:
    pid = os.fork()
    if not pid:
        for fd in range(3, 9):
            os.dup2(0, fd, inheritable=True)
        close_leaked(preserve, spare)
        found = [fd for fd in range(3, 9) if os.path.lexists(f"/proc/self/fd/{fd}")]
        marked = [fd for fd in found if not os.get_inheritable(fd)]
        right = found == [int(fd) for fd in left] and marked == [*range(3, 3 + preserve)]
        os._exit(0 if right else 1)
    assert os.waitpid(pid, 0)[1] == 0
