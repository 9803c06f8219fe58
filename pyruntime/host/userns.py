"""Whether a user namespace surrounds us."""

from pyruntime.kernel.procfs import read


def in_user_namespace() -> bool:
    """Whether this process is in another user namespace than the host's first one, judged by its uid map."""
    try:
        fields = read("/proc/self/uid_map").split()
    except OSError:
        return False
    return fields[:3] != ["0", "0", "4294967295"]
