"""Whether a container lives, asked of the kernel: pid with start time and boot id, start barrier, freezer."""

import posix as os

from pyruntime.kernel.pidfd import pidfd_open, pidfd_send_signal
from pyruntime.kernel.procfs import boot_id, read, start_time
from pyruntime.state.store import FIFO, Container


def init_pid(container: Container) -> int:
    """The pid of the container's init if that very process still runs, else 0: a reused pid or a zombie is not it."""
    pid = container.pid
    if not pid or container.own.get("bootId") != boot_id():
        return 0
    return pid if start_time(pid) == container.data.get("init_process_start") else 0


def open_init(container: Container) -> "int | None":
    """A pidfd of init, or None when it no longer runs; who holds it can't hit another process of the same number."""
    pid = init_pid(container)
    if not pid:
        return None
    try:
        pidfd = pidfd_open(pid)
    except ProcessLookupError:
        return None
    if not init_pid(container):  # it ended, and its pid may have been reused, before the descriptor was ours
        os.close(pidfd)
        return None
    return pidfd


def signal(pidfd: int, number: int) -> bool:
    """Send a signal through a pidfd; False when the process has ended."""
    try:
        pidfd_send_signal(pidfd, number)
        return True
    except ProcessLookupError:
        return False


def is_frozen(cgroup: str) -> bool:
    """Whether the cgroup is frozen (cgroup.freeze); a missing cgroup is not."""
    if not cgroup:
        return False
    try:
        return read(f"{cgroup}/cgroup.freeze").strip() == "1"
    except OSError:
        return False


def waits_for_start(container: Container) -> bool:
    """Whether init still waits at the start barrier."""
    try:
        os.stat(FIFO, dir_fd=container.dir_fd)
        return True
    except FileNotFoundError:
        return False


def status(container: Container) -> str:
    """`creating`, `created`, `running`, `paused` or `stopped`; computed, never remembered."""
    if container.own.get("stage") == "creating":
        return "creating" if container.locked_by_other() else "stopped"
    if not init_pid(container):
        return "stopped"
    if waits_for_start(container):
        return "paused" if is_frozen(container.cgroup) else "created"
    return "paused" if is_frozen(container.cgroup) else "running"


def view(container: Container) -> "dict[str, object]":
    """What `state` prints, in runc's order of keys; the runtime-spec's state plus rootfs, created and owner."""
    now = status(container)
    shown: "dict[str, object]" = {
        "ociVersion": container.data["ociVersion"],
        "id": container.id,
        "pid": 0 if now == "stopped" else container.pid,
        "status": now,
        "bundle": container.own.get("bundle", ""),
        "rootfs": container.data.get("config", {}).get("rootfs", ""),
        "created": container.data.get("created", ""),
    }
    if container.own.get("annotations"):
        shown["annotations"] = container.own["annotations"]
    shown["owner"] = ""
    return shown
