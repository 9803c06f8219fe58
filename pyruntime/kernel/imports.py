"""The import lock: once the root changes, the standard library's path names belong to the container."""

import sys

_before: "list[object]" = []
_REFUSED = ("import", "ctypes.dlopen", "subprocess.Popen")


class _Refuse:
    """The only finder left: names the module that somebody forgot to import early."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        raise ImportError(f"{name} would be imported from inside the container")


def _audit(event: str, arguments: "tuple[object, ...]") -> None:
    if event in _REFUSED or (event == "open" and arguments[1] is not None):
        raise RuntimeError(f"{event} of {arguments[0]!r} inside the container")


def lock_imports() -> None:
    """Refuse every import, library load and `open()` by name from here on; raw descriptors stay allowed."""
    # What was there is kept: to free it would be to copy the pages that we share with the command.
    _before.extend((sys.path, sys.path_hooks, sys.path_importer_cache, sys.meta_path))
    sys.path, sys.path_hooks, sys.path_importer_cache, sys.meta_path = [], [], {}, [_Refuse]
    sys.addaudithook(_audit)
