"""The user namespace that surrounds us: whether it is the host's first one, and which ids exist in it."""

from pyruntime.kernel.procfs import read

EVERY = ((0, 2**32 - 1),)  # the last 32-bit id is "no id"


def mapped(kind: str) -> "tuple[tuple[int, int], ...]":
    """The ids of our user namespace, as (first, size); `kind` is uid or gid (user_namespaces(7), /proc/self/uid_map).

    Without user namespaces in the kernel there is no such file, and every id exists.
    """
    try:
        fields = [int(word) for word in read(f"/proc/self/{kind}_map").split()]
    except OSError:
        return EVERY
    return tuple(zip(fields[0::3], fields[2::3], strict=True))


def in_user_namespace() -> bool:
    """Whether this process is in another user namespace than the host's first one, judged by its uid map."""
    try:
        fields = read("/proc/self/uid_map").split()
    except OSError:
        return False
    return fields[:3] != ["0", "0", "4294967295"]
