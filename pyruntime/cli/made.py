"""Files and folders that `spec` makes, whole or not at all."""

import posix as os

from pyruntime.errors import Error, explain_oserror

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def new_file(path: str, shown: str, content: "Iterable[bytes]", mode: int = 0o666) -> None:
    """Make a file of these parts. Raises Error, also when it is there: `shown` is what the error calls it."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise Error(f"File {shown} exists. Remove it first") from None
    except OSError as error:
        raise Error(f"cannot make {explain_oserror(error)}") from None
    try:
        for part in content:
            while part:
                part = part[os.write(fd, part) :]
    except OSError as error:
        os.unlink(path)
        raise Error(f"cannot write {path}: {explain_oserror(error)}") from None
    except BaseException:  # an interrupt: half a file is worth nothing
        os.unlink(path)
        raise
    finally:
        os.close(fd)


class Made:
    """What was made on the way, to be taken back in reverse."""

    def __init__(self) -> None:
        self._back: "list[Callable[[], None]]" = []

    def folder(self, path: str) -> None:
        """Make a folder unless it is there. Raises Error."""
        try:
            os.mkdir(path)
        except FileExistsError:
            return
        except OSError as error:
            raise Error(f"cannot make {explain_oserror(error)}") from None
        self._back.append(lambda: os.rmdir(path))

    def tree(self, path: str) -> None:
        """Make an empty folder that goes with all that will be in it. Raises Error when it is there."""
        from shutil import rmtree  # for images only

        try:
            os.mkdir(path)
        except OSError as error:
            raise Error(f"cannot make {explain_oserror(error)}; remove it first") from None
        self._back.append(lambda: rmtree(path))

    def file(self, path: str, content: "Iterable[bytes]", mode: int) -> None:
        """Make a file that must not be there. Raises Error."""
        new_file(path, path, content, mode)
        self._back.append(lambda: os.unlink(path))

    def link(self, target: str, path: str) -> None:
        """Make a symbolic link, unless something is there. Raises Error."""
        try:
            os.symlink(target, path)
        except FileExistsError:
            return
        except OSError as error:
            raise Error(f"cannot make {explain_oserror(error)}") from None
        self._back.append(lambda: os.unlink(path))

    def undo(self) -> None:
        """Take all of it back; what others have put into a folder stays, with the folder."""
        while self._back:
            try:
                self._back.pop()()
            except OSError:
                continue
