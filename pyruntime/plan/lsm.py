"""What AppArmor and SELinux are told. Loaded only when a configuration names a profile or a label."""

from pyruntime.config.mounts import Mount
from pyruntime.config.process import Process
from pyruntime.steps import lsm as steps
from pyruntime.steps.base import Step
from pyruntime.steps.mounts import Attributes

_UNLABELLED = ("proc", "sysfs", "cgroup2", "mqueue")  # the policy labels their files, or they take no option for it
_CONTEXTS = ("context", "fscontext", "defcontext", "rootcontext")
_QUOTE = '"'


def labels(process: Process, path: str, profile: bool, at_once: bool) -> "list[Step]":
    """The steps that label the program. `profile`: AppArmor is on; "unconfined" asks for nothing where it is off.

    `at_once`: no execve will follow, so what is set for it would never hold.
    """
    found: "list[Step]" = []
    if process.apparmorProfile and profile:
        found.append(steps.SetAppArmorProfile(f"{path}.apparmorProfile", process.apparmorProfile, at_once))
    if process.selinuxLabel:
        found.append(steps.SetSELinuxLabel(f"{path}.selinuxLabel", process.selinuxLabel, at_once))
    return found


def keyring(process: Process, path: str) -> "list[Step]":
    """What goes before a session keyring is made or joined."""
    if not process.selinuxLabel:
        return []
    return [steps.LabelKeyring(f"{path}.selinuxLabel", process.selinuxLabel)]


def mount_data(fstype: str, data: "list[tuple[str, str | None]]", label: str) -> "list[tuple[str, str | None]]":
    """The options of a new filesystem with the label of `linux.mountLabel`, unless they bring one.

    fsconfig(2) takes values as they are; the quotes around labels, which have commas in them, are for mount(2).
    """
    found = [(name, _unquoted(value) if name in _CONTEXTS and value else value) for name, value in data]
    if not label or fstype in _UNLABELLED or any(name in _CONTEXTS for name, _ in data):
        return found
    return [*found, ("context", label)]


def mqueue(
    because: str,
    mount: Mount,
    destination: str,
    data: "list[tuple[str, str | None]]",
    attributes: Attributes,
    words: str,
    label: str,
) -> Step:
    """The step for a message queue filesystem under `linux.mountLabel`."""
    return steps.MountLabelledMqueue(
        because, mount.type, mount.source or mount.type, destination, data, attributes, words, label
    )


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == _QUOTE else text
