"""Putting the device program on a cgroup."""

import posix as os

from pyruntime.cgroup.files import EINVAL, CgroupError
from pyruntime.errors import explain_oserror
from pyruntime.kernel import bpf

_NAME = "pyruntime_dev"


def guard(cgroup: int, instructions: bytes) -> None:
    """Make the device program the only one that this cgroup (a descriptor) has of its own.

    The old ones stay until the new one works, so that there is never a moment without. Ancestors' programs are not
    touched: they go on refusing what they refuse. Raises CgroupError.
    """
    try:
        program = bpf.load_device_program(instructions, _NAME)
    except OSError as error:
        raise _not_loaded(error) from None
    try:
        _place(program, cgroup)
    except OSError as error:
        raise CgroupError.of("linux.resources.devices: cannot attach the device program to the cgroup", error) from None
    finally:
        os.close(program)


def _place(program: int, cgroup: int) -> None:
    old = bpf.attached(cgroup)
    try:
        if len(old) == 1 and _replaced(program, cgroup, old[0]):
            return
        bpf.attach(program, cgroup)
        for each in old:
            bpf.detach(each, cgroup)
    finally:
        for each in old:
            os.close(each)


def _replaced(program: int, cgroup: int, old: int) -> bool:
    """False where the kernel cannot replace (before 5.6, or one attached alone): then both hold for a moment."""
    try:
        bpf.attach(program, cgroup, old)
        return True
    except OSError as error:
        if error.errno == EINVAL:
            return False
        raise


def _not_loaded(error: OSError) -> CgroupError:
    advice = "the kernel needs CONFIG_CGROUP_BPF, and we CAP_BPF and CAP_NET_ADMIN or CAP_SYS_ADMIN, or no device rules"
    log = getattr(error, "log", "").strip().splitlines()
    said = f" (verifier: {log[-1]})" if log else ""
    return CgroupError(
        f"linux.resources.devices: cannot load the device program: {explain_oserror(error)}{said}; {advice}",
        error.errno or 0,
    )
