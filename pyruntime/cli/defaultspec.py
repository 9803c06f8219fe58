"""The config.json that `spec` writes: a shell in a read-only root, confined as far as a shell can be."""

import posix as os

from pyruntime.version import SPEC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]

_CAPABILITIES = ("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE")
_CONFINED = ("nosuid", "noexec", "nodev")
# destination, type, source, options
_MOUNTS = (
    ("/proc", "proc", "proc", ()),
    ("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    ("/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")),
    ("/dev/shm", "tmpfs", "shm", (*_CONFINED, "mode=1777", "size=65536k")),
    ("/dev/mqueue", "mqueue", "mqueue", _CONFINED),
    ("/sys", "sysfs", "sysfs", (*_CONFINED, "ro")),
    ("/sys/fs/cgroup", "cgroup", "cgroup", (*_CONFINED, "relatime", "ro")),
)
_HOST_SYS = ("/sys", "none", "/sys", ("rbind", *_CONFINED, "ro"))  # who has no network namespace can't mount sysfs
_NAMESPACES = ("pid", "network", "ipc", "uts", "mount", "cgroup")
_MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
)  # fmt: skip
_READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def document(rootless: bool = False) -> "Json":
    """The document; with `rootless`, for a user who may map nobody but themselves and set no limits."""
    return {
        "ociVersion": SPEC,
        "process": _process(),
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "pyruntime",
        "mounts": [_mount(entry, rootless) for entry in _MOUNTS],
        "linux": _linux(rootless),
    }


def _process() -> "Json":
    return {
        "terminal": True,
        "user": {"uid": 0, "gid": 0},
        "args": ["sh"],
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
        "cwd": "/",
        "capabilities": {kind: list(_CAPABILITIES) for kind in ("bounding", "effective", "permitted")},
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
        "noNewPrivileges": True,
    }


def _mount(entry: "tuple[str, str, str, tuple[str, ...]]", rootless: bool) -> "Json":
    destination, kind, source, options = _HOST_SYS if rootless and entry[0] == "/sys" else entry
    kept = [word for word in options if not (rootless and word.startswith(("uid=", "gid=")))]
    found: Json = {"destination": destination, "type": kind, "source": source}
    return {**found, "options": kept} if kept else found


def _linux(rootless: bool) -> "Json":
    kinds = [kind for kind in _NAMESPACES if not (rootless and kind == "network")]
    confined = {"maskedPaths": list(_MASKED), "readonlyPaths": list(_READONLY)}
    if not rootless:
        resources = {"devices": [{"allow": False, "access": "rwm"}]}
        return {"resources": resources, "namespaces": [{"type": kind} for kind in kinds], **confined}
    return {
        "uidMappings": [{"containerID": 0, "hostID": os.geteuid(), "size": 1}],
        "gidMappings": [{"containerID": 0, "hostID": os.getegid(), "size": 1}],
        "namespaces": [{"type": kind} for kind in (*kinds, "user")],
        **confined,
    }
