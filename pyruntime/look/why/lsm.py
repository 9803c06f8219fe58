"""On the steps about security modules."""

from pyruntime.look.why.entry import Why

_SELINUX = (
    ("EINVAL", "the loaded policy knows no such label"),
    ("EACCES, EPERM", "the policy does not let the runtime set it"),
)

TABLE = {
    "SetAppArmorProfile": Why(
        "AppArmor decides by path names and kinds of access what a program may do, whoever it runs as. The profile is "
        "taken on at execve, so our own steps are not under it; the kernel's answer is read back. It is written while "
        "init still has its capabilities, for some kernels hold unprivileged processes to more.",
        "openat2(RESOLVE_NO_XDEV), write to attr/apparmor/exec, read",
        (
            ("ENOENT", "no profile of that name is loaded"),
            ("EACCES, EPERM", "the runtime is under a profile itself that does not allow the change"),
        ),
        "cat /proc/PID/attr/apparmor/current",
        "5 proc_pid_attr, 7 apparmor, 2 aa_change_onexec",
        ("OpenProcfs",),
    ),
    "SetSELinuxLabel": Why(
        "SELinux decides by labels: the process's and those of what it touches, by rules that no user can change. The "
        "label is taken on at execve; the kernel's answer is read back.",
        "openat2(RESOLVE_NO_XDEV), write to attr/exec, read",
        _SELINUX,
        "cat /proc/PID/attr/current",
        "5 proc_pid_attr, 8 selinux, 3 setexeccon",
        ("OpenProcfs",),
    ),
    "LabelKeyring": Why(
        "A keyring bears the label of who made it. Made under the runtime's own, the program under its label could not "
        "use the keyring of its own session.",
        "openat2(RESOLVE_NO_XDEV), write to attr/keycreate, read",
        _SELINUX,
        "keyctl security @s, inside the container",
        "5 proc_pid_attr, 3 setkeycreatecon",
        ("OpenProcfs",),
    ),
    "MountLabelledMqueue": Why(
        "Most file systems take the label of linux.mountLabel as an option when they are made. The message queue file "
        "system takes none; its root directory is labelled as a file is, while the mount is still attached nowhere.",
        "fsopen, fsconfig, fsmount, openat, fsetxattr, move_mount",
        (("EINVAL", "the loaded policy knows no such label"), ("EACCES", "the policy does not let it be set")),
        "ls -dZ /dev/mqueue, inside the container",
        "8 selinux, 2 setxattr, 7 mq_overview",
        ("BindRoot",),
    ),
}
