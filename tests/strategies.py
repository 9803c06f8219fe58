"""Hypothesis strategies shared by tests: JSON documents and configurations."""

from hypothesis import strategies as st

uint32 = st.integers(0, 2**32 - 1)
ids = st.integers(0, 2**32 - 2)
uint64 = st.integers(0, 2**64 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)
scalars = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
texts = st.text(scalars, max_size=12)
names = st.text(scalars, min_size=1, max_size=12)
absolute_paths = names.map(lambda name: f"/{name}")

json_leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
json_values = st.recursive(
    json_leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def some(**fields: "st.SearchStrategy[object]") -> "st.SearchStrategy[dict[str, object]]":
    """An object with any subset of these keys."""
    return st.fixed_dictionaries({}, optional=fields)


mappings = st.fixed_dictionaries({"containerID": uint32, "hostID": uint32, "size": uint32})

users = st.fixed_dictionaries(
    {"uid": ids, "gid": ids},
    optional={"umask": st.integers(0, 0o777), "additionalGids": st.lists(ids, max_size=3)},
)

capabilities = some(
    **{
        name: st.lists(st.sampled_from(["CAP_KILL", "CAP_CHOWN", "CAP_UNHEARD_OF"]), max_size=3)
        for name in ("bounding", "effective", "inheritable", "permitted", "ambient")
    }
)

processes = st.fixed_dictionaries(
    {"cwd": absolute_paths, "args": st.lists(names, min_size=1, max_size=3)},
    optional={
        "user": users,
        "env": st.lists(st.builds("{}={}".format, names.filter(lambda n: "=" not in n), texts), max_size=3),
        "terminal": st.booleans(),
        "consoleSize": st.fixed_dictionaries({"height": uint64, "width": uint64}),
        "capabilities": capabilities,
        "rlimits": st.lists(
            st.fixed_dictionaries(
                {"type": st.sampled_from(["RLIMIT_CORE", "RLIMIT_NOFILE"]), "soft": uint64, "hard": uint64}
            ),
            max_size=2,
        ),
        "noNewPrivileges": st.booleans(),
        "oomScoreAdj": st.integers(-1000, 1000),
        "ioPriority": st.fixed_dictionaries(
            {"class": st.sampled_from(["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"])},
            optional={"priority": st.integers(0, 7)},
        ),
    },
)

mounts = st.fixed_dictionaries(
    {"destination": absolute_paths},
    optional={
        "type": st.sampled_from(["tmpfs", "proc", "bind", ""]),
        "source": texts,
        "options": st.lists(st.sampled_from(["ro", "nosuid", "bind", "rbind", "size=64k"]), max_size=3),
        "uidMappings": st.lists(mappings, max_size=2),
        "gidMappings": st.lists(mappings, max_size=2),
    },
)

hook_lists = st.lists(
    st.fixed_dictionaries(
        {"path": absolute_paths},
        optional={"args": st.lists(texts, max_size=2), "timeout": st.integers(1, 1000)},
    ),
    max_size=2,
)

resources = some(
    memory=some(limit=int64, reservation=int64, swap=int64, checkBeforeUpdate=st.booleans()),
    cpu=some(shares=uint64, quota=int64, period=uint64, cpus=texts, idle=st.sampled_from([0, 1])),
    pids=some(limit=int64),
    unified=st.dictionaries(names, texts, max_size=2),
    rdma=st.dictionaries(names, some(hcaHandles=uint32), max_size=2),
    devices=st.lists(
        st.fixed_dictionaries(
            {"allow": st.booleans(), "access": st.sampled_from(["r", "rw", "rwm", "m"])},
            optional={"type": st.sampled_from(["a", "b", "c"]), "major": int64, "minor": int64},
        ),
        max_size=2,
    ),
)

seccomp_profiles = st.fixed_dictionaries(
    {"defaultAction": st.sampled_from(["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"])},
    optional={
        "architectures": st.lists(st.sampled_from(["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"]), max_size=2),
        "syscalls": st.lists(
            st.fixed_dictionaries(
                {"names": st.lists(names, min_size=1, max_size=3), "action": st.just("SCMP_ACT_ALLOW")},
                optional={"errnoRet": uint32},
            ),
            max_size=2,
        ),
    },
)

linuxes = some(
    namespaces=st.lists(
        st.fixed_dictionaries({"type": st.sampled_from(["pid", "mount", "user"])}, optional={"path": absolute_paths}),
        max_size=3,
    ),
    uidMappings=st.lists(mappings, max_size=2),
    resources=resources,
    seccomp=seccomp_profiles,
    sysctl=st.dictionaries(names, texts, max_size=2),
    rootfsPropagation=st.sampled_from(["", "slave", "rshared"]),
    maskedPaths=st.lists(absolute_paths, max_size=2),
    cgroupsPath=texts,
)

roots = st.fixed_dictionaries({"path": st.just("rootfs")}, optional={"readonly": st.booleans()})

configs = st.fixed_dictionaries(
    {"ociVersion": st.sampled_from(["1.0.0", "1.3.0", "1.2.1-dev"]), "root": roots},
    optional={
        "process": processes,
        "hostname": texts,
        "mounts": st.lists(mounts, max_size=3),
        "annotations": st.dictionaries(names, texts, max_size=3),
        "hooks": some(prestart=hook_lists, poststop=hook_lists),
        "linux": linuxes,
    },
)
