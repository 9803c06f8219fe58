"""Groups of the resctrl filesystem: shares of cache and memory bandwidth (the kernel's Documentation/arch/x86/resctrl).

Every function takes paths, so that none depends on where the filesystem is mounted.
"""

import posix as os

from pyruntime.errors import Error, one_line, reason
from pyruntime.kernel.paths import O_PATH, filesystem_type
from pyruntime.kernel.procfs import read, write

RDTGROUP_SUPER_MAGIC = 0x7655821
_USUAL = "/sys/fs/resctrl"


def find_root() -> str:
    """Where resctrl is mounted; "" if it is not."""
    if _is_resctrl(_USUAL):
        return _USUAL
    for line in read("/proc/self/mountinfo").splitlines():
        fields = line.split(" ")
        point = fields[4].replace("\\040", " ")
        if fields[fields.index("-") + 1] == "resctrl" and _is_resctrl(point):
            return point
    return ""


def _is_resctrl(path: str) -> bool:
    try:
        fd = os.open(path, O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return filesystem_type(fd) == RDTGROUP_SUPER_MAGIC
    finally:
        os.close(fd)


def there(path: str) -> bool:
    """Whether this group exists."""
    return os.access(path, os.F_OK)


def make(root: str, path: str) -> bool:
    """Make a group or a monitoring group; False if it was there. Raises Error with the kernel's own words."""
    try:
        os.mkdir(path, 0o755)
        return True
    except FileExistsError:
        return False
    except OSError as error:
        raise _told(root, f"cannot make the resctrl group {path}: {reason(error)}") from None


def remove(path: str) -> None:
    """Remove a group, gone or not: its tasks fall back to the group above. Raises OSError."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return


def add_task(root: str, path: str, pid: int) -> None:
    """Put a process into a group; what it forks later is in it too. Raises Error."""
    try:
        write(f"{path}/tasks", str(pid))
    except OSError as error:
        raise _told(root, f"cannot put pid {pid} into the resctrl group {path}: {reason(error)}") from None


def set_schemata(root: str, path: str, text: str) -> None:
    """Give a group its shares: lines such as `L3:0=f` in one write. Raises Error."""
    try:
        write(f"{path}/schemata", f"{text}\n")
    except OSError as error:
        shown = text.replace("\n", ", ")
        raise _told(root, f"cannot write {shown} to {path}/schemata: {reason(error)}") from None


def _told(root: str, problem: str) -> Error:
    """The error with what the kernel wrote down about it, if it wrote anything but `ok`."""
    try:
        said = read(f"{root}/info/last_cmd_status").strip()
    except OSError:
        said = ""
    return Error(f"{problem} ({one_line(said)})" if said and said != "ok" else problem)


def differs(path: str, line: str) -> bool:
    """Whether a group's shares are others than this line asks for. Raises OSError, or ValueError for a bad line."""
    kind, asked = _parse(line)
    for existing in read(f"{path}/schemata").splitlines():
        if existing.partition(":")[0].strip() == kind:
            shares = _parse(existing)[1]
            return any(shares.get(cache) != share for cache, share in asked.items())
    return True


def _parse(line: str) -> "tuple[str, dict[int, int]]":
    """`L3:0=ff;1=0f` as its kind and the share of each cache; bit masks are hexadecimal, bandwidths decimal."""
    kind, _, rest = line.partition(":")
    base = 10 if kind.strip() == "MB" else 16
    pairs = [part.partition("=") for part in rest.split(";") if part.strip()]
    return kind.strip(), {int(cache): int(share, base) for cache, _, share in pairs}
