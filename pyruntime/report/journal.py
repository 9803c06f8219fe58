"""Log lines for systemd-journald and for syslog, over their datagram sockets; loaded only for such a `--log`.

Protocols: systemd's native journal protocol (one `FIELD=value` a line), and that of syslog(3).
"""

import _socket
import posix as os
from time import localtime, strftime

from pyruntime.errors import Error, explain_oserror, one_line
from pyruntime.report.log import off_stdio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.report.log import Extra, Sink

SOCKETS = {"journald": "/run/systemd/journal/socket", "syslog": "/dev/log"}
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3}  # <LOG_*> of syslog.h
_FACILITY_USER = 1 << 3


def sink(scheme: str, name: str) -> "Sink":
    """A writer of log lines under `name` (empty: pyruntime) to `journald` or `syslog`.

    Raises Error (exit status 1) if that service does not listen here.
    """
    name = one_line(name) or "pyruntime"
    service = _connected(scheme)
    message = _journald if scheme == "journald" else _syslog

    def write(level: str, text: str, extra: "dict[str, Extra]") -> None:
        fields = {key: one_line(str(value)) for key, value in extra.items()}
        line = message(name, _PRIORITIES[level], one_line(text), fields)
        try:
            os.write(service, line.encode("utf-8", "backslashreplace"))
        except OSError:
            pass  # a log that cannot be written stops nothing

    return write


def _connected(scheme: str) -> int:
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        connection.connect(SOCKETS[scheme])
    except OSError as error:
        connection.close()
        reason = explain_oserror(error)
        raise Error(f"--log: cannot reach {scheme} at {SOCKETS[scheme]}: {reason}; give --log a file", 1) from None
    return off_stdio(connection.detach())


def _journald(name: str, priority: int, text: str, fields: "dict[str, str]") -> str:
    lines = [f"MESSAGE={text}", f"PRIORITY={priority}", f"SYSLOG_IDENTIFIER={name}"]
    return "\n".join(lines + [f"PYRUNTIME_{key.upper()}={value}" for key, value in fields.items()]) + "\n"


def _syslog(name: str, priority: int, text: str, fields: "dict[str, str]") -> str:
    when = strftime("%b %e %H:%M:%S", localtime())
    more = "".join(f" {key}={value}" for key, value in fields.items())
    return f"<{_FACILITY_USER | priority}>{when} {name}[{os.getpid()}]: {text}{more}"
