"""bpf(2): loading a device program and attaching it to a cgroup (<linux/bpf.h>, `union bpf_attr`)."""

import _struct
import posix as os

from pyruntime.kernel.syscall import address, buffer, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PROG_LOAD, _PROG_ATTACH, _PROG_DETACH, _PROG_GET_FD_BY_ID, _PROG_QUERY = 5, 8, 9, 13, 16
_PROG_TYPE_CGROUP_DEVICE, _ATTACH_CGROUP_DEVICE = 15, 6
_ALLOW_MULTI, _REPLACE = 2, 4  # BPF_F_*
_EPERM, _ENOENT = 1, 2
_MOST = 64  # BPF_CGROUP_MAX_PROGS: no cgroup has more of one kind
_LOG_SIZE = 65536


class VerifierError(OSError):
    """The kernel's verifier refused a program; `log` holds the end of what it says about it."""

    log = ""


def load_device_program(instructions: bytes, name: str = "") -> int:
    """Load a BPF_PROG_TYPE_CGROUP_DEVICE program; returns its descriptor, closed on exec.

    `name` is what `bpftool prog` shows: 15 of letters, digits, `_` and `.` (Linux 4.15). Raises OSError: EPERM without
    CAP_BPF or CAP_SYS_ADMIN; VerifierError with the verifier's log. Kernels before 5.11 charge programs to
    RLIMIT_MEMLOCK and say EPERM too, so the soft limit is raised for a second try, and put back.
    """
    try:
        return _load(instructions, name)
    except PermissionError:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        if soft == hard:
            raise
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    try:
        return _load(instructions, name)
    finally:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (soft, hard))


def _load(instructions: bytes, name: str) -> int:
    """Without a log first: the kernel works faster, and needs no room for it."""
    code, license = buffer(instructions), buffer(b"Apache-2.0\0")  # calls no helper, so none that is GPL only
    try:
        return _bpf(_PROG_LOAD, _load_attributes(code, license, name, None))
    except OSError as error:
        if error.errno == _EPERM:
            raise
        log = buffer(_LOG_SIZE)
        try:
            return _bpf(_PROG_LOAD, _load_attributes(code, license, name, log))
        except OSError:
            refused = VerifierError(error.errno, error.strerror)
            refused.log = bytes(log).rstrip(b"\0").decode("utf-8", "replace")[-500:]
            raise refused from None


def _load_attributes(code: "Any", license: "Any", name: str, log: "Any") -> bytes:
    return _struct.pack(
        "<IIQQIIQII16s",
        _PROG_TYPE_CGROUP_DEVICE,
        len(code) // 8,
        address(code),
        address(license),
        1 if log else 0,
        len(log) if log else 0,
        address(log) if log else 0,
        0,  # kern_version: for tracing programs only
        0,  # prog_flags
        name.encode()[:15],
    )


def attach(program: int, cgroup: int, replace: "int | None" = None) -> None:
    """Attach a device program to a cgroup (both descriptors), beside the others there; all have to allow an access.

    With `replace` in the place of that one, with no moment between (Linux 5.6). Raises OSError.
    """
    flags = _ALLOW_MULTI | (0 if replace is None else _REPLACE)
    _bpf(_PROG_ATTACH, _struct.pack("<IIIII", cgroup, program, _ATTACH_CGROUP_DEVICE, flags, replace or 0))


def detach(program: int, cgroup: int) -> None:
    """Detach a device program from a cgroup. Raises OSError: ENOENT if it is not attached there."""
    _bpf(_PROG_DETACH, _struct.pack("<III", cgroup, program, _ATTACH_CGROUP_DEVICE))


def attached(cgroup: int) -> "list[int]":
    """Descriptors of the device programs attached to this cgroup itself, in their order. Raises OSError."""
    found = []
    for number in _attached_ids(cgroup):
        try:
            found.append(_bpf(_PROG_GET_FD_BY_ID, _struct.pack("<III", number, 0, 0)))
        except OSError as error:
            if error.errno != _ENOENT:  # detached and unloaded since the query
                for fd in found:
                    os.close(fd)
                raise
    return found


def _attached_ids(cgroup: int) -> "tuple[int, ...]":
    numbers = buffer(4 * _MOST)
    attributes = buffer(_struct.pack("<IIIIQI4x", cgroup, _ATTACH_CGROUP_DEVICE, 0, 0, address(numbers), _MOST))
    syscall("bpf", _PROG_QUERY, attributes, len(attributes))
    count = _struct.unpack_from("<I", bytes(attributes), 24)[0]
    return _struct.unpack_from(f"<{count}I", bytes(numbers))


def _bpf(command: int, attributes: bytes) -> int:
    return syscall("bpf", command, attributes, len(attributes))
