"""The filter of system calls: when it is loaded, and how its listener reaches who decides.

With no_new_privs loading it needs no right, so it is the last act before the program, and need not allow anything that
we do. Without, it needs CAP_SYS_ADMIN, and goes right before the capabilities are cut. With a listener it has to go
before `create` ends, as who decides is told by `create`.
"""

from pyruntime.errors import ConfigError
from pyruntime.host.facts import Facts
from pyruntime.kernel.seccomp import FLAGS, NEW_LISTENER, WAIT_KILLABLE_RECV
from pyruntime.pack import bring
from pyruntime.steps.base import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyruntime.config.seccomp import Seccomp

_WHERE = "linux.seccomp"
_GUESTS = "rule: a Wasm module reaches no more of the kernel than its engine needs"
_SPEC_ALLOW = "SECCOMP_FILTER_FLAG_SPEC_ALLOW"


class Profile:
    """A compiled filter: the program, the kernel's flags, a line about it, and its listener's socket if it has one."""

    def __init__(self, program: bytes, flags: int, summary: str, path: str, metadata: str) -> None:
        self.program = program
        self.flags = flags
        self.summary = summary
        self.path = path
        self.metadata = metadata

    @property
    def listens(self) -> bool:
        """Whether some calls are decided by another process."""
        return bool(self.flags & NEW_LISTENER)

    def to_json(self) -> "dict[str, object]":
        """What `exec` needs to load the same filter."""
        return {"program": self.program.hex(), **{key: value for key, value in vars(self).items() if key != "program"}}

    @classmethod
    def from_json(cls, stored: "dict[str, Any]") -> "Profile":
        """The filter that `create` stored."""
        return cls(**{**stored, "program": bytes.fromhex(stored["program"])})


def compiled(asked: "Seccomp | None", facts: Facts) -> "tuple[Profile | None, list[str]]":
    """The filter of a configuration and what of it is left out. Raises ConfigError for what can't be had."""
    if asked is None or asked.empty():
        return None, []
    bring("seccomp")
    from pyruntime.seccomp.compile import compile_profile

    found = compile_profile(asked, facts.machine)
    if found.notify and facts.euid != 0:
        _refuse_sendmsg(asked)
    flags = _flags(asked, facts.seccomp_flags) | (NEW_LISTENER if found.notify else 0)
    if not found.notify:
        flags &= ~WAIT_KILLABLE_RECV
    profile = Profile(found.program, flags, found.summary, asked.listenerPath, asked.listenerMetadata)
    return profile, _warnings(asked, found.unknown)


def of_guest(
    profile: "Profile | None", annotations: "dict[str, str]", facts: Facts, network: bool
) -> "tuple[list[Step], list[Step]]":
    """The filter of a Wasm guest that has none of the configuration: the steps that make it, and those that load it.

    The first go after the module is loaded, the second right before it is entered. `network`: whether the guest has
    any. Raises ConfigError.
    """
    if facts.module is None or profile is not None:
        return [], []
    from pyruntime.engine.annotations import SECCOMP

    asked = annotations.get(SECCOMP, "")
    if asked == "unconfined":
        return [], []
    if asked:
        raise ConfigError(f'annotations["{SECCOMP}"]', f'expected "unconfined" or no such annotation, got "{asked}"')
    from pyruntime.steps.guestfilter import FilterGuest, MakeGuestFilter

    def make(engine: str) -> bytes:
        bring("seccomp")
        from pyruntime.seccomp.compile import compile_profile
        from pyruntime.seccomp.wasm import profile

        return compile_profile(profile(engine, network, facts.machine), facts.machine).program

    return [MakeGuestFilter(_GUESTS, make, network)], [FilterGuest(_GUESTS)]


def _refuse_sendmsg(asked: "Seccomp") -> None:
    for index, rule in enumerate(asked.syscalls):
        if rule.action == "SCMP_ACT_NOTIFY" and "sendmsg" in rule.names:
            problem = '"sendmsg" with SCMP_ACT_NOTIFY would stop init, which without root sends its listener by it'
            raise ConfigError(f"{_WHERE}.syscalls[{index}].names", problem)


def _warnings(asked: "Seccomp", unknown: "list[str]") -> "list[str]":
    """Calls without a number are refused by what allows some calls; to what forbids some they matter."""
    if not unknown or asked.defaultAction not in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG"):
        return []
    return [f"{_WHERE}.syscalls: not known, so not filtered: {' '.join(unknown)}"]


def _flags(asked: "Seccomp", supported: "tuple[str, ...]") -> int:
    """The kernel's flags; without any word of it SPEC_ALLOW, where the kernel has that."""
    wanted = asked.flags if asked.given("flags") else [_SPEC_ALLOW] if _SPEC_ALLOW in supported else []
    flags = 0
    for index, name in enumerate(wanted):
        if name not in supported:
            raise ConfigError(f"{_WHERE}.flags[{index}]", f"this kernel has no {name}; remove it")
        flags |= FLAGS[name]
    return flags & ~FLAGS["SECCOMP_FILTER_FLAG_TSYNC"]  # about other threads, of which there are none


def sockets(profile: "Profile | None") -> "list[Step]":
    """Host lane, before the fork."""
    if profile is None or not profile.listens:
        return []
    from pyruntime.steps.sockets import ConnectSocket

    return [ConnectSocket(f"{_WHERE}.listenerPath", "seccomp agent", profile.path, "seccomp_socket")]


def early(profile: "Profile | None", no_new_privs: bool, facts: Facts, state: "dict[str, object]") -> "list[Step]":
    """Before the capabilities are cut: where it takes CAP_SYS_ADMIN."""
    if profile is None or no_new_privs:
        return []
    return _load(profile, True, facts, state)


def listened(profile: "Profile | None", no_new_privs: bool, facts: Facts, state: "dict[str, object]") -> "list[Step]":
    """Before `create` ends: where somebody is to be told."""
    if profile is None or not no_new_privs or not profile.listens:
        return []
    return _load(profile, False, facts, state)


def late(profile: "Profile | None", no_new_privs: bool, facts: Facts) -> "list[Step]":
    """Right before the program and what the image's own hooks run."""
    if profile is None or not no_new_privs or profile.listens:
        return []
    return _load(profile, False, facts, {})


def _load(profile: Profile, privileged: bool, facts: Facts, state: "dict[str, object]") -> "list[Step]":
    bring("filter")
    from pyruntime.steps.seccomp import LoadSeccomp, SendListener  # while planning, and only for who has a filter

    # A listener is taken out of init by who may trace it, which no filter can forbid; others have it sent.
    handover = ("pidfd_getfd" if facts.euid == 0 else "sendmsg") if profile.listens else ""
    found: "list[Step]" = [LoadSeccomp(_WHERE, profile.program, profile.flags, profile.summary, privileged, handover)]
    if profile.listens:
        found.append(SendListener(f"{_WHERE}.listenerPath", profile.path, profile.metadata, state))
    return found
