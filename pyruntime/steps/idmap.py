"""The step behind id-mapped mounts."""

import posix as os

from pyruntime.errors import Error, reason
from pyruntime.kernel import mounts
from pyruntime.kernel.idmap import user_namespace
from pyruntime.steps.base import HOST, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker

    Lines = list[tuple[int, int, int]]

_EPERM, _EINVAL = 1, 22
_HINTS = {
    _EINVAL: "its filesystem does not support id-mapped mounts, or belongs to the very user namespace of the mapping",
    _EPERM: "it is id-mapped already, or its filesystem belongs to another user namespace",
}


class Prepared:
    """One prepared bind source to map: where it was asked for, its path, its slot, whether mounts below it follow."""

    def __init__(self, because: str, source: str, slot: str, recursive: bool) -> None:
        self.because = because
        self.source = source
        self.slot = slot
        self.recursive = recursive


class MapMounts(Step):
    """Show the owners in some mounts as a user namespace maps them: one made for it, or the one that is joined."""

    lane = HOST

    def __init__(
        self, because: str, uids: "Lines", gids: "Lines", prepared: "list[Prepared]", late: bool = False
    ) -> None:
        """`uids`, `gids`: (id in the filesystem, id on the host, count); both empty for the joined user namespace.

        `late`: the copies are init's, and ours only while we map their ids.
        """
        super().__init__(because)
        self.late = late
        self.uids = uids
        self.gids = gids
        self.prepared = prepared

    def describe(self) -> str:
        sources = " ".join(each.source for each in self.prepared)
        if not self.uids:
            return f"id-map {sources} as the joined user namespace does"
        return f"id-map {sources}: uids {_shown(self.uids)}; gids {_shown(self.gids)}"

    def run(self, walker: "Walker") -> None:
        made = user_namespace(_text(self.uids), _text(self.gids)) if self.uids else -1
        try:
            for each in self.prepared:
                _map(each, walker.fds[each.slot], walker.fds["ns:user"] if made < 0 else made)
        finally:
            if made >= 0:
                os.close(made)
            for each in self.prepared if self.late else ():
                walker.close_fd(each.slot)


def _map(each: Prepared, mount_fd: int, space: int) -> None:
    try:
        mounts.map_ids(mount_fd, space, each.recursive)
    except OSError as error:
        hint = _HINTS.get(error.errno or 0)
        raise Error(
            f"{each.because}: cannot id-map {each.source}: {reason(error)}" + (f"; {hint}" if hint else "")
        ) from None


def _text(lines: "Lines") -> str:
    return "".join(f"{inside} {outside} {size}\n" for inside, outside, size in lines)


def _shown(lines: "Lines") -> str:
    return ", ".join(f"{inside}-{inside + size - 1} → {outside}" for inside, outside, size in lines)
