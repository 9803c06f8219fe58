"""own_root.py COMMAND...: run COMMAND where "/" is a mount point, which pivot_root(2) asks for and a chroot is not.

In a mount namespace of its own, which ends with the command: the chroot's directory is bound on itself there, and
becomes the namespace's root, since the kernel makes no user namespace for who has another. `setns` into the own mount
namespace leads out of the chroot for the moment that this takes.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

from pyruntime.kernel import mounts, ns


def main() -> None:
    """Make the root a mount and become the command. Raises OSError."""
    ns.unshare(["mount"])
    chroot = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    ns.setns(os.open("/proc/self/ns/mnt", os.O_RDONLY), "mount")
    mounts.set_attributes(mounts.AT_FDCWD, 0, propagation=mounts.PROPAGATION["private"], recursive=True, path="/")
    tree = mounts.open_tree("", recursive=True, dir_fd=chroot)
    mounts.attach(tree, chroot)
    mounts.pivot_root(tree)
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
