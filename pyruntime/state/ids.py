"""Container ids: checked before any path is built from one."""

from pyruntime.errors import UsageError

_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-.")
_MAX_BYTES = 1024
_NAME_MAX = 255


def check_id(container_id: str) -> str:
    """Return the id if it is one: letters, digits and `_ + - .`, not `.` or `..`. Raises UsageError."""
    if not container_id:
        raise UsageError("container id cannot be empty")
    if container_id in (".", "..") or not _LETTERS.issuperset(container_id) or len(container_id) > _MAX_BYTES:
        raise UsageError(
            f"invalid container ID format: {container_id[:64]!a}: "
            "letters, digits and _ + - . are allowed, at most 1024 of them"
        )
    if len(container_id) > _NAME_MAX:
        raise UsageError(f"invalid container ID format: {len(container_id)} letters, but file names end at {_NAME_MAX}")
    return container_id
