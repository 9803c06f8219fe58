"""Names inside values: what the kernel or the filesystem would not know, and we can tell what was meant."""

import os
from collections.abc import Iterator

from pyruntime.config.checks import quoted
from pyruntime.config.mounts import Mount
from pyruntime.config.near import did_you_mean, nearest
from pyruntime.config.rules.sysctl import canonical
from pyruntime.config.spec import Config
from pyruntime.kernel.caps import NUMBERS
from pyruntime.look.lint import finding
from pyruntime.look.lint.finding import Finding
from pyruntime.plan import mountoptions
from pyruntime.seccomp import architectures
from pyruntime.seccomp.tables import known as calls

# Words that filesystems know (tmpfs(5), proc(5), mount(8), overlayfs.rst, cgroup-v2.rst).
_DATA = (
    "size", "nr_blocks", "nr_inodes", "mode", "uid", "gid", "huge", "mpol", "noswap", "inode32", "inode64", "casefold",
    "newinstance", "ptmxmode", "max", "hidepid", "subset", "pidns", "lowerdir", "upperdir", "workdir", "redirect_dir",
    "index", "metacopy", "volatile", "xino", "userxattr", "nfs_export", "uuid", "nsdelegate", "memory_localevents",
    "memory_recursiveprot", "favordynmods", "context", "fscontext", "defcontext", "rootcontext", "usrquota", "grpquota",
)  # fmt: skip
_CGROUP1 = (
    "cpuset", "cpu", "cpuacct", "blkio", "memory", "devices", "freezer", "net_cls", "perf_event", "net_prio", "hugetlb",
    "pids", "rdma", "misc", "name", "all", "none", "xattr", "release_agent", "clone_children", "noprefix",
)  # fmt: skip
_ANNOTATIONS = ("run.oci.handler", "module.wasm.image/variant")
_ELSEWHERE = ("syscall",)  # of MIPS, and in the profiles that engines come with
_SETS = ("bounding", "effective", "inheritable", "permitted", "ambient")


def read(config: Config) -> "Iterator[Finding]":
    """Misspelt names in a configuration whose form is right."""
    yield from _capabilities(config)
    for index, mount in enumerate(config.mounts):
        yield from _options(mount, f"mounts[{index}]")
    yield from _calls(config)
    yield from _sysctls(config)
    for name in config.annotations:
        if name not in _ANNOTATIONS:
            meant = nearest(name, _ANNOTATIONS)
            if meant:
                yield finding.warning(f'annotations["{name}"]', f"read by nobody here; did you mean {meant}?")


def _capabilities(config: Config) -> "Iterator[Finding]":
    sets = config.process.capabilities if config.process else None
    for kind in _SETS if sets is not None else ():
        for index, name in enumerate(getattr(sets, kind)):
            if name not in NUMBERS:
                where = f"process.capabilities.{kind}[{index}]"
                short = f"CAP_{name}".upper()
                hint = f"; did you mean {short}?" if short in NUMBERS else did_you_mean(name, NUMBERS)
                yield finding.warning(where, f"{quoted(name)} is no capability, it is left out{hint}")


def _options(mount: Mount, path: str) -> "Iterator[Finding]":
    words = mountoptions.names()
    bind = mount.type == "bind" or "bind" in mount.options or "rbind" in mount.options
    if mount.type == "bind" and not {"bind", "rbind"} & set(mount.options):
        yield finding.warning(f"{path}.options", 'type is "bind" and no option is; other runtimes ask for one of them')
    for index, word in enumerate(mount.options):
        name = word.partition("=")[0]
        if word in words or name in mountoptions.EXTENSIONS or (not bind and name in (*_DATA, *_CGROUP1)):
            continue
        hint = mountoptions.meant(word, () if bind else _DATA)
        if hint or bind:
            where = f"{path}.options[{index}]"
            what = "no option of a bind mount" if bind else f"not known to {mount.type or 'any filesystem'}"
            yield finding.warning(where, f"{quoted(word)} is {what}{hint}")


def _calls(config: Config) -> "Iterator[Finding]":
    profile = config.linux.seccomp
    names = frozenset(calls.NAMES.split()).union(architectures.CARRIED, _ELSEWHERE)
    for number, rule in enumerate(profile.syscalls if profile else ()):
        for index, name in enumerate(rule.names):
            hint = did_you_mean(name, names) if name not in names else ""
            if hint:
                where = f"linux.seccomp.syscalls[{number}].names[{index}]"
                yield finding.warning(where, f"{quoted(name)} is no system call, the rule does nothing for it{hint}")


def _sysctls(config: Config) -> "Iterator[Finding]":
    for key in config.linux.sysctl:
        path = "/proc/sys/" + canonical(key).translate({46: "/", 47: "."})
        if os.path.exists(path):
            continue
        folder, _, name = path.rpartition("/")
        try:
            near = nearest(name, os.listdir(folder))
        except OSError:
            continue
        if near:
            meant = f"{key[: len(key) - len(name)]}{near}"
            yield finding.warning(f'linux.sysctl["{key}"]', f"this kernel has no such setting; did you mean {meant}?")
