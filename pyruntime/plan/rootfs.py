"""The file tree: which steps make the root, its mounts, its masks, and the change into it."""

from pyruntime.config.mounts import Mount
from pyruntime.config.spec import Config
from pyruntime.errors import ConfigError
from pyruntime.host.facts import Facts
from pyruntime.kernel import mounts as m
from pyruntime.pathtext import absolute, clean, inside
from pyruntime.plan import mountoptions
from pyruntime.plan.request import Request
from pyruntime.steps import masks as covers
from pyruntime.steps import mounts
from pyruntime.steps import rootfs as steps
from pyruntime.steps.base import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyruntime.steps.idmap import Prepared

_CGROUP = ("cgroup", "cgroup2")  # the kernel's own name for it must not lead around what is made sure of for the other

# Of the whole tree, and not of a mount: containerd 2 names the host's for privileged containers.
_CGROUP_TREE = (
    "nsdelegate", "favordynmods", "memory_localevents", "memory_recursiveprot", "memory_hugetlb_accounting",
    "pids_localevents",
)  # fmt: skip


def root_path(config: Config, bundle: str) -> str:
    """The rootfs as an absolute path."""
    if config.root is None:
        raise ConfigError("root", "root must be specified")
    return absolute(config.root.path, bundle)


def prepare(config: Config, request: Request, facts: Facts) -> "list[Step]":
    """Host lane, before the fork: how to mount, and bind sources whose ids the host maps."""
    found: "list[Step]" = []
    if facts.refused_mount_call and _has(config, "mount"):
        found.append(
            steps.UseMountCall("rule: old kernels, and filters that refuse new calls", facts.refused_mount_call)
        )
    mapped: "list[tuple[Mount, mountoptions.Options, Prepared]]" = []
    for index, mount, options, slot in _handed(config, request, facts):
        if _is_mapped(mount, options) and not _has(config, "user"):
            from pyruntime.steps.idmap import Prepared  # few mounts are
            from pyruntime.steps.sources import PrepareMount

            because, source = f"mounts[{index}]", absolute(mount.source, request.bundle)
            kind, _ = _propagation(config)
            place = inside(source, root_path(config, request.bundle)) or ""
            found.append(PrepareMount(because, source, options.bind != "bind", slot, kind, place))
            mapped.append((mount, options, Prepared(because, source, slot, options.idmap == "ridmap")))
    return [*found, *_maps(config, mapped)]


def find(config: Config, request: Request, facts: Facts) -> "list[Step]":
    """Once init has its namespaces: the bind sources that it may not reach, being nobody outside of its own.

    Those to be id-mapped are copied by init, for the same reason as the others: only then are their flags locked.
    """
    asked = list(_handed(config, request, facts)) if _has(config, "user") else []
    if not asked:
        return []
    from pyruntime.steps.sources import CopySource, FindSources, OfferRoot, Source

    sources, copies = [], []
    mapped: "list[tuple[Mount, mountoptions.Options, Prepared]]" = []
    for index, mount, options, slot in asked:
        because, path = f"mounts[{index}]", absolute(mount.source, request.bundle)
        place = inside(path, root_path(config, request.bundle)) or ""
        sources.append(Source(because, path, slot, place, options.copy_link))
        if _is_mapped(mount, options):
            from pyruntime.steps.idmap import Prepared  # few mounts are

            copies.append(CopySource(because, path, options.bind != "bind", slot, _propagation(config)[0]))
            mapped.append((mount, options, Prepared(because, path, slot, options.idmap == "ridmap")))
    because = sources[0].because
    return [OfferRoot(because), FindSources(because, sources), *copies, *_maps(config, mapped, late=True)]


def _handed(config: Config, request: Request, facts: Facts) -> "Iterator[tuple[int, Mount, mountoptions.Options, str]]":
    """The bind mounts whose source comes to init in a slot: (index, mount, options, slot)."""
    for index, mount in enumerate(config.mounts):
        options = mountoptions.parse(mount.options, f"mounts[{index}].options", mount.type)
        slot = _slot(config, facts, index, mount, options)
        if slot and not _late(config, request, index):
            yield index, mount, options, slot


def _bound(options: mountoptions.Options) -> "type[mounts.BindMount]":
    if not options.copy_link:
        return mounts.BindMount
    from pyruntime.steps.links import CopyLink  # few mounts are

    return CopyLink


def _maps(
    config: Config, mapped: "list[tuple[Mount, mountoptions.Options, Prepared]]", late: bool = False
) -> "list[Step]":
    if not mapped:
        return []
    from pyruntime.plan import idmap

    return idmap.steps(config, mapped, late)


def _slot(config: Config, facts: Facts, index: int, mount: Mount, options: mountoptions.Options) -> str:
    """The slot of a bind source that the host lane opens, "" for one that init opens itself."""
    if not _is_bind(mount, options):
        return ""
    if _is_mapped(mount, options):
        from pyruntime.plan import idmap

        idmap.check(options, f"mounts[{index}]", facts)
        return f"mount:{index}"
    return f"mount:{index}" if _has(config, "user") and facts.euid == 0 else ""


def destination(config: Config, bundle: str, mount: Mount) -> str:
    """Where a mount goes, from the container's root; runc takes a path of the host that lies below the rootfs too."""
    place = clean(mount.destination)
    return inside(place, root_path(config, bundle)) or place


def _late(config: Config, request: Request, index: int) -> bool:
    """Whether a bind source is, or holds, what an earlier mount of this container makes: it is not there before."""
    place = inside(absolute(config.mounts[index].source, request.bundle), root_path(config, request.bundle))
    if place is None:
        return False
    mine = place.rstrip("/") + "/"
    earlier = (destination(config, request.bundle, mount) + "/" for mount in config.mounts[:index])
    return any(mine.startswith(each) or each.startswith(mine) for each in earlier)


def _late_source(
    config: Config, request: Request, index: int, options: mountoptions.Options, slot: str
) -> "list[Step]":
    """Init opens such a source when its turn comes, and the host maps the ids of the copy."""
    from pyruntime.plan import idmap
    from pyruntime.steps.idmap import Prepared
    from pyruntime.steps.sources import OpenSource

    because, mount = f"mounts[{index}]", config.mounts[index]
    source = absolute(mount.source, request.bundle)
    place = inside(source, root_path(config, request.bundle)) or ""
    mapped = [(mount, options, Prepared(because, source, slot, options.idmap == "ridmap"))]
    opened = OpenSource(because, source, options.bind != "bind", slot, place)
    return [opened, *idmap.steps(config, mapped, late=True)]


def _is_mapped(mount: Mount, options: mountoptions.Options) -> bool:
    return bool(options.idmap or mount.uidMappings or mount.gidMappings)


def tree(config: Config, request: Request, facts: Facts, cgroup: str) -> "list[Step]":
    """Init lane: propagation, the root, every mount in the order of the config; `cgroup` is the container's own."""
    rootfs = root_path(config, request.bundle)
    if not _has(config, "mount"):
        if config.mounts:
            raise ConfigError("mounts", "mounts need a mount namespace; add one to linux.namespaces")
        return [steps.OpenRoot("root.path", rootfs)]
    kind, recursive = _propagation(config)
    because = "linux.rootfsPropagation" if config.linux.rootfsPropagation else "rule: no mount travels to the host"
    parent = "private" if kind == "shared" else "" if recursive else kind
    found: "list[Step]" = [
        steps.SetRootPropagation(because, kind, recursive),
        steps.BindRoot("root.path", rootfs, parent),
    ]
    for index, mount in enumerate(config.mounts):
        found += _mount(config, request, facts, cgroup, index, mount)
    return found


def _propagation(config: Config) -> "tuple[str, bool]":
    """The propagation of init's mounts while it sets them up, and whether it goes for those below the root too."""
    wanted = config.linux.rootfsPropagation
    if not wanted:
        return "slave", True
    kind = wanted.removeprefix("r")
    # An unbindable rootfs could not be bound: `change` makes it so at the end.
    return "private" if kind == "unbindable" else kind, wanted.startswith("r")


def _mount(config: Config, request: Request, facts: Facts, cgroup: str, index: int, mount: Mount) -> "list[Step]":
    because = f"mounts[{index}]"
    options = mountoptions.parse(mount.options, f"{because}.options", mount.type)
    target = destination(config, request.bundle, mount)
    words = ",".join(mount.options)
    if facts.refused_mount_call and (options.attributes.recursive_set or options.attributes.recursive_clear):
        raise ConfigError(
            f"{because}.options",
            f"recursive attributes such as rro need Linux 5.12 and mount_setattr(2), but {facts.refused_mount_call} is "
            "refused here (an older kernel, or a seccomp filter)",
        )
    if target == "/":
        raise ConfigError(
            f"{because}.destination", "a mount on the container's root is refused; use root.path for that"
        )
    _check_proc(because, target)
    if _is_bind(mount, options):
        return _bind(config, request, facts, index, mount, options, target, words)
    if options.copy_link:
        raise ConfigError(f"{because}.options", '"copy-symlink" is about the source of a bind mount; remove it')
    if options.remount:
        return [_remount(because, mount, options, target, words)]
    if mount.type in _CGROUP:
        return [_cgroup(config, facts, cgroup, because, target, options, words)]
    label = config.linux.mountLabel
    # Who has a network namespace of its own may mount sysfs, but in a container whose /sys is partly covered.
    if mount.type == "sysfs" and (facts.in_user_namespace or (_has(config, "user") and not _new(config, "network"))):
        return [_filesystem(because, mount, options, target, words, label, mounts.MountSysfs)]
    return [_filesystem(because, mount, options, target, words, label)]


def _remount(because: str, mount: Mount, options: mountoptions.Options, destination: str, words: str) -> Step:
    """The mount that is there gets other flags. Those of its filesystem may be the host's too, and stay."""
    for name, _ in (*options.data, *options.superblock):
        raise ConfigError(
            f"{because}.options", f'"{name}" is the filesystem\'s, and "remount" changes the mount alone; remove it'
        )
    if options.attributes.set & m.RDONLY and _read_only_late(mount, destination):
        options.attributes.set &= ~m.RDONLY
    return mounts.Remount(because, destination, options.attributes, words)


def _cgroup(
    config: Config,
    facts: Facts,
    cgroup: str,
    because: str,
    destination: str,
    options: mountoptions.Options,
    words: str,
) -> Step:
    """The container's own cgroup as the top of what it sees, where it has a cgroup namespace."""
    options.data = [each for each in options.data if each[0] not in _CGROUP_TREE]
    data = options.has_data()
    if data is not None:
        raise ConfigError(f"{because}.options", f'"{data}": no such option of a cgroup mount; remove it')
    tree = facts.cgroup_tree
    if not _has(config, "cgroup"):
        return mounts.MountCgroup(because, destination, options.attributes, words, tree.mount)
    own = tree.directory(cgroup) if cgroup and not _new(config, "cgroup") else ""
    foreign = not options.attributes.set & m.RDONLY and (facts.rootless or not cgroup)
    return mounts.MountCgroup(because, destination, options.attributes, words, own, bool(own), foreign)


def _filesystem(
    because: str,
    mount: Mount,
    options: mountoptions.Options,
    destination: str,
    words: str,
    label: str,
    kind: "type[mounts.MountFilesystem] | None" = None,
) -> Step:
    if not mount.type:
        raise ConfigError(f"{because}.type", 'expected a filesystem type, or "bind" among the options')
    data = [*options.data, *options.superblock]
    slot = ""
    if options.attributes.set & m.RDONLY and _read_only_late(mount, destination):
        options.attributes.set &= ~m.RDONLY
        slot = because
    elif options.attributes.set & m.RDONLY:
        data.append(("ro", None))
    if kind is None and options.copy_up:
        from pyruntime.steps.copyup import CopyUp  # few ask for it

        kind = CopyUp
    kind = kind or mounts.MountFilesystem
    if label or any(name.endswith("context") for name, _ in data):
        from pyruntime.plan import lsm  # few hosts have labels

        if label and mount.type == "mqueue":
            return lsm.mqueue(because, mount, destination, data, options.attributes, words, label)
        data = lsm.mount_data(mount.type, data, label)
    return kind(because, mount.type, mount.source or mount.type, destination, data, options.attributes, words, slot)


def _read_only_late(mount: Mount, destination: str) -> bool:
    """A tmpfs, or /dev, that is to be read-only must be filled first."""
    return mount.type == "tmpfs" or destination == "/dev"


def _bind(
    config: Config,
    request: Request,
    facts: Facts,
    index: int,
    mount: Mount,
    options: mountoptions.Options,
    target: str,
    words: str,
) -> "list[Step]":
    because = f"mounts[{index}]"
    data = options.has_data()
    if data is not None:
        raise mountoptions.no_bind_option(mount.options, data, f"{because}.options")
    if not mount.source:
        raise ConfigError(f"{because}.source", "a bind mount needs a source")
    if options.copy_link and _is_mapped(mount, options):
        raise ConfigError(f"{because}.options", '"copy-symlink" and an id map do not go together: a link has none')
    slot, late = _slot(config, facts, index, mount, options), _late(config, request, index)
    found: "list[Step]" = []
    if late and _is_mapped(mount, options):
        found += _late_source(config, request, index, options, slot)
    elif late:
        slot = ""
    source = absolute(mount.source, request.bundle)
    bind = _bound(options)(
        because,
        source,
        target,
        options.bind != "bind",
        options.attributes,
        options.flagged,
        words,
        slot,
        mapped=_is_mapped(mount, options),
        place=inside(source, root_path(config, request.bundle)) or "",
    )
    return [*found, bind]


def _is_bind(mount: Mount, options: mountoptions.Options) -> bool:
    return bool(options.bind) or mount.type == "bind"


def _check_proc(because: str, destination: str) -> None:
    if destination.startswith("/proc/") and destination not in mounts.IN_PROC:
        raise ConfigError(f"{because}.destination", f'"{destination}" cannot be mounted because it is inside /proc')


def masks(config: Config) -> "list[Step]":
    """Masked and read-only paths, before the root changes: the host's /dev/null is at hand there."""
    found: "list[Step]" = []
    if config.linux.readonlyPaths:
        found.append(covers.ReadonlyPaths("linux.readonlyPaths", config.linux.readonlyPaths))
    if config.linux.maskedPaths:
        paths = list(dict.fromkeys(config.linux.maskedPaths))
        found.append(covers.MaskPaths("linux.maskedPaths", paths, config.linux.mountLabel))
    return found


def change(config: Config, request: Request) -> "list[Step]":
    """The change of root and what only goes after it."""
    rootfs = root_path(config, request.bundle)
    if not _has(config, "mount"):
        return [steps.ChangeRoot("root.path", rootfs, "chroot")]
    found: "list[Step]" = [steps.ChangeRoot("root.path", rootfs, "pivot_root" if request.pivot else "move")]
    kind = config.linux.rootfsPropagation
    if kind.removeprefix("r") in ("shared", "unbindable"):
        found.append(steps.SetFinalPropagation("linux.rootfsPropagation", kind.removeprefix("r"), kind.startswith("r")))
    return found


def seal(config: Config, request: Request) -> "list[Step]":
    """Read-only remounts that had to wait until everything was written."""
    found: "list[Step]" = []
    if not _has(config, "mount"):
        return found
    for index, mount in enumerate(config.mounts):
        options = mountoptions.parse(mount.options, f"mounts[{index}].options", mount.type)
        target = destination(config, request.bundle, mount)
        late = not _is_bind(mount, options) and mount.type not in _CGROUP and _read_only_late(mount, target)
        if late and options.attributes.set & m.RDONLY:
            found.append(covers.RemountReadonly(f"mounts[{index}].options", target, f"mounts[{index}]"))
    if config.root is not None and config.root.readonly:
        found.append(covers.RemountReadonly("root.readonly", "/"))
    return found


def _has(config: Config, kind: str) -> bool:
    return config.linux.namespace(kind) is not None


def _new(config: Config, kind: str) -> bool:
    entry = config.linux.namespace(kind)
    return entry is not None and not entry.path
