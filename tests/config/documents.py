"""Sample documents for the tests of this folder."""

import copy

TYPICAL: "dict[str, object]" = {
    "ociVersion": "1.3.0",
    "root": {"path": "rootfs", "readonly": True},
    "process": {
        "terminal": False,
        "user": {"uid": 0, "gid": 0, "additionalGids": [5]},
        "args": ["sh"],
        "env": ["PATH=/bin", "EMPTY="],
        "cwd": "/",
        "capabilities": {"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "ambient": ["CAP_KILL"]},
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 2048}],
        "noNewPrivileges": True,
    },
    "hostname": "box",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/data", "source": "/srv", "options": ["rbind", "ro"]},
    ],
    "annotations": {"a.b": "c"},
    "hooks": {"createRuntime": [{"path": "/bin/hook", "args": ["hook"], "env": ["A=b"], "timeout": 3}]},
    "linux": {
        "namespaces": [{"type": name} for name in ("pid", "network", "ipc", "uts", "mount", "cgroup", "user", "time")],
        "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 100}],
        "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 100}],
        "timeOffsets": {"monotonic": {"secs": -5, "nanosecs": 999999999}},
        "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 8630}],
        "resources": {
            "memory": {"limit": 1000, "swap": 2000},
            "cpu": {"quota": 50000, "period": 100000, "burst": 1000, "cpus": "0-1"},
            "pids": {"limit": 10},
            "blockIO": {"weight": 100, "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}]},
            "hugepageLimits": [{"pageSize": "2MB", "limit": 0}],
            "unified": {"memory.high": "max"},
            "devices": [{"allow": False, "access": "rwm"}],
        },
        "sysctl": {"net.ipv4.ip_forward": "1", "kernel/shmmax": "5", "net/ipv4/conf/eth0.1/forwarding": "1"},
        "maskedPaths": ["/proc/kcore"],
        "readonlyPaths": ["/proc/sys"],
        "rootfsPropagation": "rslave",
        "personality": {"domain": "LINUX32"},
    },
}
PARTS: "dict[str, object]" = {
    "process.scheduler": {"policy": "SCHED_FIFO", "priority": 5, "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
    "process.ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4},
    "process.execCPUAffinity": {"initial": "0-3,7", "final": "1"},
    "process.consoleSize": {"height": 25, "width": 80},
    "linux.seccomp": {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 38,
        "architectures": ["SCMP_ARCH_X86_64"],
        "flags": ["SECCOMP_FILTER_FLAG_LOG"],
        "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
            {
                "names": ["clone"],
                "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
            },
        ],
    },
    "linux.memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]},
    "linux.intelRdt": {"closID": "a", "memBwSchema": "MB:0=10", "schemata": ["L3:0=f"], "enableMonitoring": True},
    "linux.netDevices": {"eth0": {"name": "inner"}},
    "linux.resources.network": {"classID": 1, "priorities": [{"name": "eth0", "priority": 2}]},
    "linux.resources.rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 4}},
    "linux.resources.blockIO.weightDevice": [{"major": 8, "minor": 0, "weight": 10, "leafWeight": 10}],
}
GONE = object()


def steps_of(path: str) -> "list[str | int]":
    """`mounts[1].options` as keys and indexes; a key with dots cannot be named this way."""
    return [int(word) if word.isdigit() else word for word in path.replace("[", ".").replace("]", "").split(".")]


def changed(document: object, path: "str | list[str | int]", value: object) -> "dict[str, object]":
    """A copy of a document with the value at `path` put in, or taken out when it is GONE."""
    copied = copy.deepcopy(document)
    *before, last = steps_of(path) if isinstance(path, str) else path
    place = copied
    for step in before:
        place = place[step]  # type: ignore[index]
    if value is GONE:
        del place[last]  # type: ignore[attr-defined]
    elif isinstance(place, list) and last == len(place):
        place.append(value)
    else:
        place[last] = value  # type: ignore[index]
    return copied  # type: ignore[return-value]


def everything() -> "dict[str, object]":
    """The typical document with every other part of the spec put in."""
    document = TYPICAL
    for path, part in PARTS.items():
        document = changed(document, path, part)
    return document
