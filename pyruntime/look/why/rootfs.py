"""On the steps about the file tree."""

from pyruntime.look.why.entry import Why

_MOUNT_FAILS = (
    ("EPERM", "no right over the mount namespace; in a user namespace many file systems can't be mounted"),
    ("ENODEV", "the kernel doesn't know this type of file system"),
    ("EINVAL", "the file system doesn't take one of the options"),
)
_SEE_MOUNTS = "cat /proc/PID/mountinfo"

TABLE = {
    "OpenProcfs": Why(
        "Some settings are files of procfs. Init keeps a procfs of its own as a descriptor, mounted nowhere: "
        "nothing that config.json mounts over /proc can catch what is written.",
        "fsopen, fsconfig, fsmount",
        (("EPERM", "an outer container has masked parts of its /proc, so the kernel gives no new one"),),
        "ls -l /proc/PID/fd, while init is being set up",
        "5 proc, 2 fsopen",
    ),
    "UseMountCall": Why(
        "The usual calls make a mount apart and attach it once it is complete. Old kernels lack them, and filters of "
        "outer containers refuse them. mount(2) can do most of it: each mount is made on a hidden tmpfs that only "
        "this mount namespace has, gets its flags, which are read back, and is moved to its place.",
        "mount(MS_BIND, MS_REMOUNT, MS_MOVE), fstatvfs",
        (
            ("EINVAL", "/proc is no procfs, and descriptors are named by it"),
            ("EACCES", "in a user namespace init opens bind sources itself, and may not reach one"),
        ),
        "strace -f -e trace=mount pyruntime run ID",
        "2 mount, 3 fstatvfs",
    ),
    "MapMounts": Why(
        "Files keep the owners they have on the disk, and a user namespace shifts every id: a volume would belong to "
        "nobody. An id-mapped mount shifts them back, for this one view of the files and without a chown. The map is "
        "that of a user namespace, of the container's own or of one made for nothing else.",
        "clone3(CLONE_NEWUSER), mount_setattr(MOUNT_ATTR_IDMAP)",
        (
            ("EINVAL", "the file system does not support it"),
            ("EPERM", "the mount is id-mapped already, or root is only root of a user namespace"),
        ),
        "ls -ln in the container and at the source; idmapped among the options in /proc/PID/mountinfo",
        "2 mount_setattr, 7 user_namespaces",
        ("PrepareMount",),
    ),
    "SetRootPropagation": Why(
        "A mount namespace starts as a copy of the host's, and on most hosts mounts made in one copy travel to the "
        "other. This cuts the way out, before the first mount: otherwise every mount of the container would show "
        "up on the host.",
        "mount_setattr",
        (("EINVAL", "/ is no mount point in this namespace: an outer chroot"),),
        "findmnt -N PID -o TARGET,PROPAGATION",
        "7 mount_namespaces",
        ("Clone",),
    ),
    "BindRoot": Why(
        "pivot_root takes only a mount point, and a rootfs is mostly an ordinary directory. Bound on itself it "
        "becomes one. Later steps look every path up below this mount's descriptor.",
        "openat(O_PATH), open_tree(OPEN_TREE_CLONE), move_mount",
        (
            ("ENOENT", "root.path doesn't exist; it is relative to the bundle"),
            ("EINVAL", "the mount that holds the rootfs is shared or unbindable"),
        ),
        _SEE_MOUNTS,
        "2 open_tree, 2 pivot_root",
        ("SetRootPropagation",),
    ),
    "OpenRoot": Why(
        "Without a mount namespace there is nothing to pivot; the rootfs is opened as the directory that look-ups "
        "start at.",
        "openat(O_PATH|O_DIRECTORY)",
        (("ENOENT", "root.path doesn't exist; it is relative to the bundle"),),
        "readlink /proc/PID/root",
        "2 openat",
    ),
    "PrepareMount": Why(
        "The ids of this source are to be mapped, which the host's side may do, and only on a copy that is attached "
        "nowhere. It makes one and leaves it to init.",
        "open_tree(OPEN_TREE_CLONE)",
        (("ENOENT", "the source doesn't exist on the host"), ("EACCES", "the source isn't yours to reach")),
        "ls -l /proc/PID/fd, while init is being set up",
        "2 open_tree",
    ),
    "OfferRoot": Why(
        "Bind sources are found by the host's side, and taken from the mounts of the container's user namespace. This "
        "descriptor is where the host's side starts to look.",
        "openat(O_PATH)",
        (("EMFILE", "the caller's limit of open descriptors is reached"),),
        "ls -l /proc/PID/fd, while init is being set up",
        "7 mount_namespaces",
        ("Unshare",),
    ),
    "FindSources": Why(
        "Inside its user namespace init may be an id that can't even reach the source (a home directory with mode "
        "0700). The host's side finds it, in init's mount namespace: there the kernel has locked what the host took "
        "from a mount (ro, nosuid, nodev, noexec, the kind of access times) and what the mounts below cover. A copy "
        "of the host's own mount has no locks, and who has CAP_SYS_ADMIN in the container could take all that back.",
        "openat2(O_PATH, RESOLVE_IN_ROOT)",
        (("ENOENT", "the source doesn't exist on the host"), ("EACCES", "the source isn't yours to reach")),
        "ls -l /proc/PID/fd, while init is being set up",
        "2 openat2, 7 mount_namespaces",
        ("OfferRoot",),
    ),
    "CopySource": Why(
        "Ids are mapped on a copy that is attached nowhere, and by the host's side. Init makes the copy, so that what "
        "its user namespace locks stays locked.",
        "open_tree(OPEN_TREE_CLONE)",
        (("EINVAL", "bind without rbind, and mounts below the source cover what may not be uncovered"),),
        _SEE_MOUNTS,
        "2 open_tree, 7 mount_namespaces",
        ("FindSources",),
    ),
    "OpenSource": Why(
        "The source is what an earlier mount of this container made, so it is not there before. Init takes a copy, "
        "found below the root by a look-up that can't leave it, and gives it to the host's side, which may map ids.",
        "openat2(RESOLVE_IN_ROOT), open_tree(OPEN_TREE_CLONE)",
        (("ENOENT", "no earlier mount made it"),),
        _SEE_MOUNTS,
        "2 openat2, 2 open_tree",
        ("BindRoot",),
    ),
    "BindMount": Why(
        "The same files at a second place: a volume, a socket, a config file. The copy is made detached, gets its "
        "flags (read-only, nosuid), and only then appears: there is no moment in which it is weaker. The target is "
        "found below the root by a look-up that can't leave it, whatever links the rootfs holds.",
        "open_tree, openat2(RESOLVE_IN_ROOT), mount_setattr, move_mount",
        (
            ("ENOENT", "the source doesn't exist on the host"),
            ("ENOTDIR", "a file is to be mounted on a directory or the other way round"),
            ("EPERM", "a flag that the source's mount has locked can't be taken back in a user namespace"),
            ("ELOOP", "the destination's links in the rootfs lead in a circle"),
        ),
        _SEE_MOUNTS,
        "8 mount, 2 open_tree, 2 mount_setattr",
        ("BindRoot",),
    ),
    "CopyLink": Why(
        "A bind mount follows symlinks: what it shows is the file they lead to on the host. With copy-symlink the "
        "container gets a symlink of the same text, which leads to a file of its own.",
        "readlink, openat2(RESOLVE_IN_ROOT), symlinkat",
        (("EEXIST", "another file has that name in the rootfs"), ("EROFS", "the rootfs is on a read-only mount")),
        "readlink DESTINATION, in the container",
        "7 symlink, 2 symlink",
        ("BindRoot",),
    ),
    "Remount": Why(
        "An earlier entry of `mounts`, or the rootfs itself, brought the mount; this one changes its flags. The "
        "filesystem behind it stays as it is, for sysfs or cgroup2 it would be the host's too.",
        "openat2(RESOLVE_IN_ROOT), mount_setattr",
        (
            ("EINVAL", "nothing is mounted there: mount_setattr wants the top of a mount"),
            ("EPERM", "a flag that is locked can't be taken back in a user namespace"),
        ),
        _SEE_MOUNTS,
        "8 mount, 2 mount_setattr",
        ("MountFilesystem", "BindMount"),
    ),
    "MountFilesystem": Why(
        "A fresh instance of a file system: proc shows the processes of this pid namespace, devpts its own terminals, "
        "a tmpfs is an empty piece of memory. It is configured while nothing is mounted yet and attached as a whole.",
        "fsopen, fsconfig, fsmount, openat2(RESOLVE_IN_ROOT), move_mount",
        (
            *_MOUNT_FAILS,
            ("EBUSY", "a user namespace may mount proc or sysfs only where no part of the host's is masked"),
        ),
        _SEE_MOUNTS,
        "2 fsopen, 8 mount, 5 proc",
        ("BindRoot",),
    ),
    "CopyUp": Why(
        "A tmpfs hides what lies below it. With tmpcopyup it starts with a copy of that: /etc of the image, but "
        "writable and forgotten in the end.",
        "fsopen, fsconfig, fsmount, sendfile, fchown, fsetxattr, move_mount",
        (*_MOUNT_FAILS, ("ENOSPC", "the copy is larger than the tmpfs's size=")),
        _SEE_MOUNTS,
        "5 tmpfs",
        ("BindRoot",),
    ),
    "MountSysfs": Why(
        "sysfs shows the devices of a network namespace, so whoever mounts one must own that. A user namespace without "
        "a network namespace of its own can't: it gets a copy of the /sys around it, read-only with all below.",
        "fsopen, fsconfig, fsmount, move_mount; else open_tree, mount_setattr",
        (("EPERM", "the /sys around us is partly covered: an outer container masks it"),),
        "grep ' /sys ' /proc/PID/mountinfo",
        "7 network_namespaces, 7 user_namespaces",
        ("BindRoot",),
    ),
    "MountCgroup": Why(
        "Programs read their limits at /sys/fs/cgroup. In a cgroup namespace the mount shows the container's own "
        "cgroup as its top and nothing of the host's.",
        "fsopen(cgroup2), fsmount, move_mount",
        (
            ("EPERM", "the cgroup namespace belongs to another user namespace"),
            ("EBUSY", "the host's tree is v1 or hybrid"),
        ),
        _SEE_MOUNTS,
        "7 cgroup_namespaces",
        ("BindRoot",),
    ),
    "MaskPaths": Why(
        "procfs and sysfs show a few things that belong to the host whatever the namespaces: memory, keys, firmware. "
        "Files are covered with /dev/null, directories with an empty read-only tmpfs. What isn't there needs no cover.",
        "open_tree, fsopen, fsmount, openat2(RESOLVE_IN_ROOT), move_mount",
        (("EACCES, ELOOP", "the path can't be followed in the rootfs"),),
        _SEE_MOUNTS,
        "5 proc",
        ("MountFilesystem",),
    ),
    "ReadonlyPaths": Why(
        "Settings below /proc/sys are the host's, and root in a container without a user namespace is allowed to "
        "write them. Each such path gets a read-only mount of itself on top.",
        "openat2(RESOLVE_IN_ROOT), open_tree, mount_setattr, move_mount",
        (("EACCES, ELOOP", "the path can't be followed in the rootfs"),),
        _SEE_MOUNTS,
        "2 mount_setattr",
        ("MountFilesystem",),
    ),
    "RemountReadonly": Why(
        "Read-only was asked for, but directories and device nodes had to be made first. Nothing is made after "
        "this, so now the mount is closed; files already open for writing would have kept it open (EBUSY).",
        "openat2, mount_setattr(MOUNT_ATTR_RDONLY)",
        (("EBUSY", "something holds a file open for writing there"),),
        _SEE_MOUNTS,
        "2 mount_setattr",
        ("ChangeRoot",),
    ),
    "ChangeRoot": Why(
        "chroot only changes where one process's `/` starts, and root knows ways out of it. pivot_root swaps the "
        "root of the whole mount namespace, and detaching the old one leaves no name by which the host's files "
        "could be reached. From here on nothing of the runtime's own is loaded any more: its paths now belong to "
        "the container.",
        'fchdir, pivot_root(".", "."), umount2(MNT_DETACH), chdir',
        (
            ("EINVAL", "the root is an initramfs, or the mount is shared; --no-pivot helps for the first"),
            ("EBUSY", "the rootfs is the root already"),
            ("EPERM", "no CAP_SYS_ADMIN over the mount namespace"),
        ),
        "ls /proc/PID/root; wc -l /proc/PID/mountinfo",
        "2 pivot_root, 2 chroot",
        ("SetRootPropagation", "BindRoot"),
    ),
    "SetFinalPropagation": Why(
        "The container asked for a root whose mounts travel to its own nested namespaces. It is set after the "
        "change of root, which a shared mount would have refused.",
        "mount_setattr",
        (("EINVAL", "the root is no mount"),),
        "findmnt -N PID -o TARGET,PROPAGATION",
        "7 mount_namespaces",
        ("ChangeRoot",),
    ),
}
