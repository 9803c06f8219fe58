"""Profiles: those of engines, made into what a runtime is given as the engines do it, and small ones of our own.

An engine's file says for which architecture, capabilities and kernel an entry is meant; a runtime sees what is left.
"""

import json
from pathlib import Path
from typing import Any

GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "x86", "armv7l": "arm"}
ERRNOS = {"EPERM": 1, "EINVAL": 22, "ENOSYS": 38}
MACHINES = ("x86_64", "aarch64", "riscv64", "ppc64le", "s390x", "armv7l", "i686")
NATIVE = {"x86_64": "X86_64", "aarch64": "AARCH64", "riscv64": "RISCV64", "ppc64le": "PPC64LE", "s390x": "S390X"} | {
    "armv7l": "ARM",
    "i686": "X86",
}
CAPABILITIES = {
    "no": (),
    "docker's": (
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_KILL",
        "CAP_NET_BIND_SERVICE",
        "CAP_SYS_CHROOT",
        "CAP_AUDIT_WRITE",
    ),
    "all": (
        *("CAP_AUDIT_WRITE", "CAP_BPF", "CAP_DAC_READ_SEARCH", "CAP_PERFMON", "CAP_SYS_ADMIN", "CAP_SYS_BOOT"),
        *("CAP_SYS_CHROOT", "CAP_SYS_MODULE", "CAP_SYS_NICE", "CAP_SYS_PACCT", "CAP_SYS_PTRACE", "CAP_SYS_RAWIO"),
        *("CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_SYSLOG"),
    ),
}
Profile = dict[str, Any]


def read(path: Path) -> "dict[str, tuple[str, Profile]]":
    """The profiles a file stands for: a title, the machine, and the profile as in config.json."""
    given = json.loads(path.read_text(encoding="utf-8"))
    if "archMap" not in given:
        machines = [machine for machine in MACHINES if f"SCMP_ARCH_{NATIVE[machine]}" in given.get("architectures", [])]
        return {f"{path.name} on {machine}": (machine, given) for machine in machines[:1] or ["x86_64"]}
    return {
        f"{path.name} on {machine} with {title} capabilities": (machine, converted(given, machine, capabilities))
        for machine in MACHINES
        for title, capabilities in CAPABILITIES.items()
    }


def converted(given: Profile, machine: str, capabilities: "tuple[str, ...]") -> Profile:
    """An engine's profile as it writes it to config.json."""
    found = {key: given[key] for key in ("defaultAction", "defaultErrnoRet", "flags", "listenerPath") if key in given}
    if given.get("defaultErrno"):
        found["defaultErrnoRet"] = ERRNOS[given["defaultErrno"]]
    own = f"SCMP_ARCH_{NATIVE[machine]}"
    for entry in given["archMap"]:
        if entry["architecture"] == own:
            found["architectures"] = [own, *(entry.get("subArchitectures") or [])]
    go = GO_NAMES.get(machine, machine)
    found["syscalls"] = [_entry(call) for call in given["syscalls"] if _meant(call, go, capabilities)]
    return found


def _entry(call: Profile) -> Profile:
    found = {key: call[key] for key in ("names", "action", "errnoRet", "args") if call.get(key) is not None}
    if call.get("name"):
        found["names"] = [call["name"]]
    if call.get("errno"):
        found["errnoRet"] = ERRNOS[call["errno"]]
    return found


def _meant(call: Profile, go: str, capabilities: "tuple[str, ...]") -> bool:
    """A new kernel is assumed: every `minKernel` is reached."""
    includes, excludes = call.get("includes") or {}, call.get("excludes") or {}
    return not (
        go in (excludes.get("arches") or [])
        or set(excludes.get("caps") or []) & set(capabilities)
        or excludes.get("minKernel")
        or (includes.get("arches") and go not in includes["arches"])
        or set(includes.get("caps") or []) - set(capabilities)
    )


def without(profile: Profile, unknown: "set[str]") -> Profile:
    """A profile without some names; an entry that has none left is gone."""
    calls = [call | {"names": [n for n in call["names"] if n not in unknown]} for call in profile.get("syscalls") or []]
    return profile | {"syscalls": [call for call in calls if call["names"]]}


def names(profile: Profile) -> "set[str]":
    """All system calls a profile names."""
    return {name for call in profile.get("syscalls") or [] for name in call["names"]}


def shorts(profile: Profile, machine: str) -> "list[str]":
    """The architectures of a filter, without SCMP_ARCH_: the machine's own first."""
    listed = [name.removeprefix("SCMP_ARCH_") for name in profile.get("architectures") or []]
    return list(dict.fromkeys([NATIVE[machine], *listed]))
