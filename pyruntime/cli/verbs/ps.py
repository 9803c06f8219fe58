"""`ps`: the processes of a container, as the host's ps shows them."""

import posix as os

from pyruntime.cgroup import members
from pyruntime.cli.context import Context, write_out
from pyruntime.cli.verbs.list_ import output_format
from pyruntime.errors import Error
from pyruntime.report.jsonout import dumps
from pyruntime.state import life, processes
from pyruntime.state.store import Container

_FOLDERS = ("/usr/bin", "/bin", "/usr/local/bin")


def run(context: Context) -> int:
    """ps [--format table|json] ID [PS-OPTION...]."""
    form = output_format(context)
    pids = pids_of(context.load())
    if form == "json":
        write_out(dumps(pids) + "\n")
    else:
        write_out(only(_ps(context.arguments[1:] or ["-ef"]), pids))
    return 0


def pids_of(container: Container) -> "list[int]":
    """The host's pids of all processes in the container's cgroup and below; without a cgroup, init and what descends
    from it. Raises Error.
    """
    if container.cgroup:
        return sorted(members.processes(container.cgroup))
    init = life.init_pid(container)
    return processes.descendants(init) if init else []


def only(text: str, pids: "list[int]") -> str:
    """The header of ps's output and the lines with one of `pids` in the PID column. Raises Error if there is none."""
    header, *lines = text.splitlines() or [""]
    names = header.split()
    if "PID" not in names:
        raise Error("couldn't find PID field in ps output; leave PID among the columns")
    column, wanted = names.index("PID"), set(map(str, pids))
    kept = [line for line in lines if wanted.intersection(line.split(None, column + 1)[column : column + 1])]
    return "".join(f"{line}\n" for line in (header, *kept))


def _ps(options: "list[str]") -> str:
    """What the host's ps prints. Raises Error if there is none, or it refuses the options."""
    import subprocess

    path = next((f"{folder}/ps" for folder in _FOLDERS if os.access(f"{folder}/ps", os.X_OK)), "")
    if not path:
        raise Error(f"no ps in {', '.join(_FOLDERS)}; install procps, or ask for --format json")
    try:
        result = subprocess.run([path, *options], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except (OSError, ValueError) as error:
        raise Error(f"cannot run {path}: {error}") from None
    if result.returncode:
        told = " ".join(result.stderr.decode("utf-8", "replace").split())
        raise Error(f"{path} ended with exit status {result.returncode}: {told}")
    return result.stdout.decode("utf-8", "surrogateescape")
