"""The order of confinement: each step needs rights that a later one takes away. The table is the rule."""

from typing import Any

import pytest

from pyruntime.steps.base import HOST, INIT, Step
from tests.plan.made import EVERY, document, facts, names, namespaces, plan, request

STAGES: "tuple[tuple[str, set[str]], ...]" = (
    ("the record", {"Reserve"}),
    ("the cgroup", {"MakeCgroup", "FilterDevices", "MakeResctrlGroup"}),
    ("what comes before the fork", {"MakePipes", "ConnectSocket", "MakeBarrier", "PrepareModule", "MakeGuestFilter",
                                    "OpenNamespace",
                                    "UseMountCall", "PrepareMount", "MapMounts", "CheckExecutable"}),
    ("namespaces", {"Clone", "LoadModule", "LeavePipes", "Join", "Unshare", "SetTimeOffsets", "ForkInit", "AdoptInit",
                    "WriteIdMap", "BecomeRoot", "Isolate", "JoinKeyring", "LoopbackUp", "OpenProcfs", "LabelKeyring",
                    "EnterResctrlGroup", "MoveNetDevices"}),
    ("mounts", {"OfferRoot", "FindSources", "CopySource", "SetRootPropagation", "BindRoot", "BindMount",
                "MountFilesystem", "CopyUp", "MountCgroup", "Remount", "MountLabelledMqueue", "OpenSource",
                "MapMounts (late)"}),
    ("devices", {"MakeDevices", "LinkDevices"}),
    ("limits of the cgroup", {"ApplyLimits", "DelegateCgroup"}),
    ("hooks with the host's paths", {"SendPidfd", "hooks.prestart", "hooks.createRuntime", "hooks.createContainer"}),
    ("masks", {"ReadonlyPaths", "MaskPaths"}),
    ("limits of the process", {"SetOomScore", "SetScheduler", "SetIoPriority", "SetPersonality", "SetMemoryPolicy"}),
    ("the root", {"ChangeRoot", "SetFinalPropagation"}),
    ("the console", {"TakePipes", "ReopenNull", "OpenConsole", "SendConsole"}),
    ("names", {"SetHostname", "SetDomainname"}),
    ("sysctls", {"SetSysctls"}),
    ("the working directory", {"MakeCwd"}),
    ("seals", {"RemountReadonly"}),
    ("the module, as root still", {"CheckModule", "HideCommand"}),
    ("labels, with every right still", {"SetAppArmorProfile", "SetSELinuxLabel"}),
    ("what needs root", {"OwnStdio", "BuildEnvironment", "EnterCwd", "SetUmask", "SetRlimits", "SetNoNewPrivs",
                         "DropBounding"}),
    ("the user", {"SetUser"}),
    ("the filter, while CAP_SYS_ADMIN is there", {"LoadSeccomp (privileged)"}),
    ("capabilities", {"SetCapabilities"}),
    ("the program", {"EnterCwd (late)", "FindProgram", "EncodeArguments"}),
    ("the filter, while `create` is there", {"LoadSeccomp (listened)", "SendListener"}),
    ("descriptors", {"PassDescriptors"}),
    ("the record again", {"Save", "WritePidFile"}),
    ("the start", {"WaitForStart"}),
    ("the filter", {"LoadSeccomp"}),
    ("the image's own programs", {"hooks.startContainer", "Execve"}),
    ("the filter of a module", {"FilterGuest"}),
    ("the module", {"EnterModule"}),
    ("after the start", {"AwaitExec", "hooks.poststart"}),
)  # fmt: skip
RANK = {name: rank for rank, (_, members) in enumerate(STAGES) for name in members}

_HOOK = [{"path": "/bin/hook"}]
FULL: "dict[str, Any]" = document(
    process={
        "cwd": "/work",
        "user": {"uid": 1000, "gid": 1000, "additionalGids": [5]},
        "noNewPrivileges": True,
        "capabilities": {"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"]},
        "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
        "oomScoreAdj": 10,
        "scheduler": {"policy": "SCHED_BATCH", "nice": 5},
        "ioPriority": {"class": "IOPRIO_CLASS_IDLE"},
        "apparmorProfile": "box",
        "selinuxLabel": "system_u:system_r:container_t:s0:c1,c2",
    },
    linux={
        "resources": {"memory": {"limit": 1 << 26}, "devices": [{"allow": False, "access": "rwm"}]},
        "devices": [{"type": "c", "path": "/dev/fuse", "major": 10, "minor": 229}],
        "maskedPaths": ["/proc/kcore"],
        "readonlyPaths": ["/proc/sys"],
        "sysctl": {"net.ipv4.ip_forward": "1"},
        "personality": {"domain": "LINUX"},
        "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0"},
        "netDevices": {"eth1": {}},
        "intelRdt": {"schemata": ["L3:0=f"], "enableMonitoring": True},
        "mountLabel": "system_u:object_r:container_file_t:s0:c1,c2",
        "rootfsPropagation": "shared",
    },
    root={"path": "rootfs", "readonly": True},
    hostname="box",
    domainname="example.org",
    mounts=[
        {"destination": "/proc", "type": "proc"},
        {"destination": "/tmp", "type": "tmpfs", "options": ["ro", "tmpcopyup"]},
        {"destination": "/data", "source": "/srv", "options": ["rbind", "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup"},
        {"destination": "/dev/mqueue", "type": "mqueue"},
        {"destination": "/data", "options": ["remount", "nodev"]},
    ],
    hooks={kind: _HOOK for kind in
           ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")},
)  # fmt: skip


def key(step: Step) -> str:
    name = type(step).__name__
    if name == "RunHook":
        return step.because.partition("[")[0]
    if name == "LoadSeccomp":
        return name + (" (privileged)" if vars(step)["privileged"] else " (listened)" if vars(step)["handover"] else "")
    return f"{name} (late)" if getattr(step, "late", False) else name


def filtered(action: str) -> "dict[str, Any]":
    rules = [{"names": ["mkdir"], "action": action}]
    return {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/l", "syscalls": rules}


def with_linux(**more: Any) -> "dict[str, Any]":
    return {**FULL, "linux": {**FULL["linux"], **more}}


MAPS = [{"containerID": 0, "hostID": 100000, "size": 65536}]
VARIANTS: "dict[str, tuple[dict[str, Any], dict[str, Any]]]" = {
    "created": (FULL, {"pidfd_socket": "/run/p", "pid_file": "/run/pid"}),
    "run": (FULL, {"barrier": False}),
    "foreground": (FULL, {"barrier": False, "terminals": (0, 1, 2)}),
    "terminal": ({**FULL, "process": {**FULL["process"], "terminal": True}}, {"console_socket": "/run/c"}),
    "user namespace": (
        with_linux(namespaces=namespaces("user", *EVERY), uidMappings=MAPS, gidMappings=MAPS),
        {},
    ),
    "id-mapped mount": (
        {
            **FULL,
            "mounts": [
                {"destination": "/a", "source": "/b", "options": ["bind"], "uidMappings": MAPS, "gidMappings": MAPS}
            ],
        },
        {},
    ),
    "id-mapped mount in a user namespace": (
        {
            **with_linux(namespaces=namespaces("user", *EVERY), uidMappings=MAPS, gidMappings=MAPS),
            "mounts": [{"destination": "/a", "source": "/b", "options": ["bind", "idmap"]}],
        },
        {},
    ),
    "id-mapped mount of a mount": (
        {
            **FULL,
            "mounts": [
                {"destination": "/a", "type": "tmpfs"},
                {
                    "destination": "/b",
                    "source": "rootfs/a",
                    "options": ["bind"],
                    "uidMappings": MAPS,
                    "gidMappings": MAPS,
                },
            ],
        },
        {},
    ),
    "joined": (
        with_linux(namespaces=namespaces("network=/run/net", "mount", "uts", "ipc", "cgroup", "pid=/proc/1/ns/pid")),
        {},
    ),
    "filtered": (with_linux(seccomp=filtered("SCMP_ACT_ERRNO")), {}),
    "listening": (with_linux(seccomp=filtered("SCMP_ACT_NOTIFY")), {}),
    "filtered without no_new_privs": (
        {**with_linux(seccomp=filtered("SCMP_ACT_ERRNO")), "process": {**FULL["process"], "noNewPrivileges": False}},
        {},
    ),
    "time": (
        with_linux(namespaces=namespaces(*EVERY, "time"), timeOffsets={"boottime": {"secs": 5}}),
        {},
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_steps_follow_the_table(variant: str) -> None:
    config, asked = VARIANTS[variant]
    keys = [key(step) for step in plan(config, asked=request(**asked))]
    assert set(keys) <= set(RANK), "a step without a place in the table"
    ranks = [RANK[name] for name in keys]
    assert ranks == sorted(ranks), [name for name, after in zip(keys, ranks[1:], strict=False) if RANK[name] > after]


def test_the_table_has_nothing_that_no_plan_uses() -> None:
    used = {key(step) for config, asked in VARIANTS.values() for step in plan(config, asked=request(**asked))}
    module = {
        "PrepareModule",
        "MakeGuestFilter",
        "LoadModule",
        "CheckModule",
        "HideCommand",
        "FilterGuest",
        "EnterModule",
    }
    assert set(RANK) - used == {*module, "UseMountCall"}


def test_rights_are_given_up_last_and_in_order() -> None:
    found = names(plan(FULL))
    wanted = ["MakeCgroup", "Clone", "BindRoot", "ChangeRoot", "SetSysctls"]
    wanted += ["DropBounding", "SetUser", "SetCapabilities", "Execve"]
    assert [name for name in found if name in wanted] == wanted


def test_the_last_word_is_the_program() -> None:
    assert names(plan(FULL))[-1] == "Execve"
    run = plan(FULL, asked=request(barrier=False))
    assert [step.lane for step in run][-3:] == [INIT, HOST, HOST]
    assert names(run)[-3:] == ["Execve", "AwaitExec", "RunHook"]


def test_init_does_nothing_before_it_is_made_and_the_host_nothing_of_init() -> None:
    steps = plan(FULL)
    first = next(index for index, step in enumerate(steps) if step.lane == INIT)
    assert type(steps[first - 1]).__name__ == "Clone"


def test_every_step_says_what_asked_for_it_and_what_it_does() -> None:
    for config, asked in VARIANTS.values():
        for step in plan(config, asked=request(**asked)):
            assert step.because
            assert step.describe()
            assert "\n" not in step.describe()


def test_without_a_cgroup_nothing_is_limited() -> None:
    """Rules for devices alone are let through, with a warning."""
    rules = with_linux(resources={"devices": [{"allow": False, "access": "rwm"}]})
    found = set(names(plan(rules, asked=request(cgroups=False))))
    assert found & {"MakeCgroup", "FilterDevices", "ApplyLimits", "DelegateCgroup"} == set()
    assert not facts().rootless
