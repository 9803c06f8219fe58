"""Session keyrings: keyctl(2), keyrings(7)."""

from pyruntime.kernel.syscall import buffer, syscall

_KEYCTL_JOIN_SESSION_KEYRING, _KEYCTL_DESCRIBE, _KEYCTL_SETPERM = 1, 6, 5
_ENOSYS = 38
_UID_SEARCH, _OTHER_SEARCH = 0x00080000, 0x00000008


def join_session(name: str, other_search: bool) -> None:
    """Join the session keyring of that name, making it if needed, and let its users search it.

    `other_search`: for a user namespace, whose ids differ. A kernel without keyrings (ENOSYS) is no error: there is
    nothing to separate then. Raises OSError.
    """
    try:
        key = syscall("keyctl", _KEYCTL_JOIN_SESSION_KEYRING, name.encode())
    except OSError as error:
        if error.errno == _ENOSYS:
            return
        raise
    permissions = _permissions(key)
    wanted = _OTHER_SEARCH if other_search else _UID_SEARCH
    if permissions is not None and not permissions & wanted:
        syscall("keyctl", _KEYCTL_SETPERM, key, permissions | wanted)


def _permissions(key: int) -> "int | None":
    text = buffer(512)
    try:
        size = syscall("keyctl", _KEYCTL_DESCRIBE, key, text, 512)
    except OSError:
        return None
    fields = bytes(text)[:size].split(b";")
    return int(fields[3], 16) if len(fields) > 3 else None
