"""The engines of the guest, each with its own words for the same acts, over pyruntime.

Each with the cgroup driver that it takes by itself: ctr cgroupfs, the others systemd.

Every one runs with the seccomp and AppArmor profile that it comes with. An emulated start takes seconds, on a busy host
a minute: time limits are there to end a hang, not to measure.
"""

import json
import os
import pty
import select
import subprocess
import time
from pathlib import Path

import pytest

from tests.guest.guests import NAME
from tests.system.harness import wait_until

PROGRAMS = Path("/opt/programs")
PATIENCE = 300  # seconds
DAEMON = Path("/etc/docker/daemon.json")
_BECOME = ("setpriv", "--reuid", "user", "--regid", "user", "--init-groups", "env", "-i")
AS_USER = (*_BECOME, "HOME=/home/user", "USER=user", "XDG_RUNTIME_DIR=/run/user/1000", "PATH=/usr/bin:/bin:/usr/sbin")
_UNIT = ("systemd-run", "--user", "--quiet", "--collect", "-p", "Delegate=yes")
USER_UNIT = (*AS_USER, *_UNIT, "-E", "PATH=/usr/bin:/bin:/usr/sbin:/sbin")


def call(*command: str, timeout: float = PATIENCE) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end. Raises subprocess.TimeoutExpired."""
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
    )


def done(*command: str) -> str:
    """What a command prints that has to succeed."""
    result = call(*command)
    assert result.returncode == 0, f"{' '.join(command)}: {result}"
    return result.stdout.strip()


def answers(*command: str) -> bool:
    """Whether a command succeeds; if not, after a pause, as asking is work for an emulated host."""
    succeeded = call(*command).returncode == 0
    if not succeeded:
        time.sleep(2)
    return succeeded


def on_a_terminal(*command: str) -> "tuple[int, str]":
    """Exit status and output of a command whose 0, 1 and 2 are a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    output, end = b"", time.monotonic() + PATIENCE
    while time.monotonic() < end and select.select([ours], [], [], end - time.monotonic())[0]:
        try:
            output += os.read(ours, 4096)
        except OSError:  # EIO: everybody has closed the other end
            break
    os.close(ours)
    return process.wait(PATIENCE), output.decode()


def program(name: str) -> str:
    """The path of a program that scripts/guest programs makes. Skips the test where it did not."""
    if not (PROGRAMS / name).exists():
        pytest.skip(f"{name} is not in the guest: scripts/guest programs builds it")
    return str(PROGRAMS / name)


class Engine:
    """What docker and podman have in common."""

    name = ""
    label = ""
    statuses = {"missing": 127, "folder": 126}
    unshare = "Operation not permitted"  # what one who makes a user namespace there is told

    def __init__(self, runtime: Path) -> None:
        self.runtime = str(runtime)
        self.base: "tuple[str, ...]" = ()
        self.run_flags: "tuple[str, ...]" = ("--network", "none")

    def load(self, image: Path) -> None:
        done(*self.base, "load", "-i", str(image))

    def run(
        self, id: str, *command: str, flags: "tuple[str, ...]" = (), image: str = NAME
    ) -> "subprocess.CompletedProcess[str]":
        """A container in the foreground, gone afterwards."""
        return call(*self.running(id, *command, flags=flags, image=image))

    def running(self, id: str, *command: str, flags: "tuple[str, ...]" = (), image: str = NAME) -> "list[str]":
        return [*self.base, "run", "--rm", "--name", id, *self.run_flags, *flags, image, *command]

    def terminal(self, id: str) -> "tuple[str, ...]":
        return ("-i", "-t")

    def start(self, id: str, *command: str, flags: "tuple[str, ...]" = ()) -> None:
        """A container in the background, limited to 64 MiB where the engine has a flag for that."""
        done(*self.base, "run", "--detach", "--name", id, *self.run_flags, "--memory", "64m", *flags, NAME, *command)

    def output(self, id: str) -> str:
        """What a container has printed."""
        result = call(*self.base, "logs", id)
        return result.stdout + result.stderr

    def stop(self, id: str) -> int:
        """SIGTERM, and time for it; the exit status that the engine then tells."""
        done(*self.base, "stop", "--time", "200", id)
        return int(done(*self.base, "wait", id))

    def exec(self, id: str, *command: str) -> "subprocess.CompletedProcess[str]":
        return call(*self.base, "exec", id, *command)

    def pause(self, id: str) -> None:
        done(*self.base, "pause", id)

    def resume(self, id: str) -> None:
        done(*self.base, "unpause", id)

    def status(self, id: str) -> str:
        """In the engine's word, in small letters."""
        return done(*self.base, "inspect", "--format", "{{.State.Status}}", id)

    def pid(self, id: str) -> int:
        return int(done(*self.base, "inspect", "--format", "{{.State.Pid}}", id))

    def limit_memory(self, id: str, mebibytes: int) -> None:
        done(*self.base, "update", "--memory", f"{mebibytes}m", "--memory-swap", f"{mebibytes}m", id)

    def kill(self, id: str) -> int:
        """SIGKILL; the exit status that the engine then tells."""
        done(*self.base, "kill", id)
        return int(done(*self.base, "wait", id))

    def remove(self, id: str) -> None:
        """Whatever state it is in."""
        call(*self.base, "rm", "--force", id)

    def known(self, id: str) -> bool:
        return id in done(*self.base, "ps", "--all", "--format", "{{.Names}}").split()


class Docker(Engine):
    name = "docker"
    label = "docker-default (enforce)"

    def __init__(self, runtime: Path) -> None:
        super().__init__(runtime)
        self.base = ("docker",)
        self.run_flags = ("--runtime", "pyruntime", "--network", "none")
        settings = {"runtimes": {"pyruntime": {"path": self.runtime}}}
        DAEMON.parent.mkdir(exist_ok=True)
        DAEMON.write_text(json.dumps(settings))
        done("systemctl", "restart", "docker")


USERS_DOCKER = ("docker", "--host", "unix:///run/user/1000/docker-test.sock")


def start_users_docker(runtime: str, *flags: str) -> None:
    """A daemon of the user's own, in a user namespace that RootlessKit makes; without networks.

    Again when it fails: it gives its containerd 15 s to start, which on a busy host is too little.
    """
    variables = ("DOCKERD_ROOTLESS_ROOTLESSKIT_NET=slirp4netns", f"DOCKER_BUILDKIT_RUNC_COMMAND={runtime}")
    unit = ("--unit=docker-test", "-p", "Restart=on-failure", *(word for each in variables for word in ("-E", each)))
    daemon = "/usr/share/docker.io/contrib/dockerd-rootless.sh"
    places = (*USERS_DOCKER[1:], "--bridge", "none", "--add-runtime", f"pyruntime={runtime}")
    stop_users_docker()
    done(*USER_UNIT, *unit, daemon, *places, *flags)
    wait_until(lambda: answers(*AS_USER, *USERS_DOCKER, "version"), "the user's daemon answers", 60)


def stop_users_docker() -> None:
    call(*AS_USER, "systemctl", "--user", "stop", "docker-test")


class RootlessDocker(Engine):
    """By the user's own daemon."""

    name = "docker, rootless"
    label = "unconfined"

    def __init__(self, runtime: Path) -> None:
        super().__init__(runtime)
        self.base = (*AS_USER, *USERS_DOCKER)
        self.run_flags = ("--runtime", "pyruntime", "--network", "none")
        start_users_docker(self.runtime)


class Podman(Engine):
    name = "podman"
    label = "containers-default-"
    unshare = "Permission denied"

    def __init__(self, runtime: Path) -> None:
        super().__init__(runtime)
        self.base = ("podman", "--runtime", self.runtime)

    def remove(self, id: str) -> None:
        call(*self.base, "rm", "--force", "--time", "0", id)


class RootlessPodman(Podman):
    """By the user that the guest has for this."""

    name = "podman, rootless"
    label = "unconfined"  # AppArmor takes no profile from who may not administer it, so podman names none
    unshare = ""

    def __init__(self, runtime: Path) -> None:
        super().__init__(runtime)
        self.base = (*AS_USER, *self.base)


class Containerd(Engine):
    """By ctr: profiles are used when asked for, and the memory limit is only in `update`'s reach by the runtime."""

    name = "containerd"
    label = "pyruntime-ctr (enforce)"
    statuses = {"missing": 1, "folder": 1}

    def __init__(self, runtime: Path) -> None:
        super().__init__(runtime)
        self.base = ("ctr",)
        profiles = ("--seccomp", "--apparmor-default-profile", "pyruntime-ctr")
        self.run_flags = ("--runc-binary", self.runtime, *profiles)
        done("systemctl", "start", "containerd")

    def load(self, image: Path) -> None:
        done("ctr", "image", "import", str(image))

    def running(self, id: str, *command: str, flags: "tuple[str, ...]" = (), image: str = NAME) -> "list[str]":
        return ["ctr", "run", "--rm", *self.run_flags, *flags, image, id, *command]

    def terminal(self, id: str) -> "tuple[str, ...]":
        return ("--tty",)

    def start(self, id: str, *command: str, flags: "tuple[str, ...]" = ()) -> None:
        logs = ("--log-uri", f"file:///tmp/{id}.log")
        limit = ("--memory-limit", str(64 << 20))
        done("ctr", "run", "--detach", *logs, *self.run_flags, *limit, *flags, NAME, id, *command)

    def output(self, id: str) -> str:
        return Path(f"/tmp/{id}.log").read_text()

    def exec(self, id: str, *command: str) -> "subprocess.CompletedProcess[str]":
        return call("ctr", "task", "exec", "--exec-id", f"e{time.monotonic_ns()}", id, *command)

    def pause(self, id: str) -> None:
        done("ctr", "task", "pause", id)

    def resume(self, id: str) -> None:
        done("ctr", "task", "resume", id)

    def _task(self, id: str) -> "list[str]":
        rows = [line.split() for line in done("ctr", "task", "list").splitlines()]
        return next(row for row in rows if row[0] == id)

    def status(self, id: str) -> str:
        return self._task(id)[2].lower()

    def pid(self, id: str) -> int:
        return int(self._task(id)[1])

    def limit_memory(self, id: str, mebibytes: int) -> None:
        """ctr has no word for it: by the runtime, with the root that the shim gives it."""
        done(self.runtime, "--root", "/run/containerd/runc/default", "update", "--memory", f"{mebibytes}m", id)

    def kill(self, id: str) -> int:
        return self._killed(id, "KILL")

    def stop(self, id: str) -> int:
        return self._killed(id, "TERM")

    def _killed(self, id: str, signal: str) -> int:
        done("ctr", "task", "kill", "--signal", signal, id)
        wait_until(lambda: self.status(id) == "stopped", f"{id} has ended", 60)
        told = call("ctr", "task", "delete", id).stderr  # a warning with the status, if that is not zero
        return int(told.rpartition("exit code ")[2].strip(' "\n') or 0)

    def remove(self, id: str) -> None:
        call("ctr", "task", "delete", "--force", id)
        call("ctr", "container", "delete", id)
        Path(f"/tmp/{id}.log").unlink(missing_ok=True)

    def known(self, id: str) -> bool:
        return id in done("ctr", "container", "list", "--quiet").split()


class SystemdContainerd(Containerd):
    """ctr with the option of the shim that containerd's CRI sets for `SystemdCgroup = true`."""

    name = "containerd, systemd"

    def _placed(self, id: str) -> "tuple[str, ...]":
        return ("--runc-systemd-cgroup", "--cgroup", f"system.slice:ctr:{id}")

    def running(self, id: str, *command: str, flags: "tuple[str, ...]" = (), image: str = NAME) -> "list[str]":
        return super().running(id, *command, flags=(*flags, *self._placed(id)), image=image)

    def start(self, id: str, *command: str, flags: "tuple[str, ...]" = ()) -> None:
        super().start(id, *command, flags=(*flags, *self._placed(id)))


class Nerdctl(Engine):
    """Docker's words over Debian's containerd; hooks of nerdctl's own run in each of its containers."""

    name = "nerdctl"
    label = "nerdctl-default (enforce)"
    statuses = {"missing": 1, "folder": 1}

    def __init__(self, runtime: Path) -> None:
        super().__init__(runtime)
        self.base = (program("nerdctl"), "--cni-path", "/usr/lib/cni")
        self.run_flags = ("--runtime", self.runtime, "--network", "none")
        done("systemctl", "start", "containerd")


class RootlessNerdctl(Nerdctl):
    """Over a containerd of the user's own, in a user namespace that RootlessKit makes, where nerdctl looks for it.

    Its containers are under nerdctl's profile where root has loaded that: here it has, as nerdctl advises.
    """

    name = "nerdctl, rootless"
    # What is root's on the host, /run/containerd above all, is the copy's in there: shims keep their sockets in it.
    script = "rm -f /run/containerd && mkdir /run/containerd && exec containerd --root {0} --state /run/containerd"

    def __init__(self, runtime: Path) -> None:
        Engine.__init__(self, runtime)
        self.base = (*AS_USER, program("nerdctl"), "--cni-path", "/usr/lib/cni")
        self.run_flags = ("--runtime", self.runtime, "--network", "none")
        copies = ("--copy-up=/etc", "--copy-up=/run", "--copy-up=/var/lib", "--propagation=rslave")
        network = ("--net=slirp4netns", "--mtu=65520", "--disable-host-loopback", "--detach-netns")
        place = ("--state-dir=/run/user/1000/containerd-rootless",)
        script = self.script.format("/home/user/.local/share/containerd-test")
        done(program("nerdctl"), "apparmor", "load")
        call(*AS_USER, "systemctl", "--user", "stop", "containerd-test")
        done(*USER_UNIT, "--unit=containerd-test", "rootlesskit", *place, *network, *copies, "sh", "-c", script)
        wait_until(lambda: answers(*self.base, "info"), "the user's containerd answers", 60)


ENGINES: "tuple[type[Engine], ...]" = (
    Containerd,
    SystemdContainerd,
    Nerdctl,
    RootlessNerdctl,
    Podman,
    RootlessPodman,
    Docker,
    RootlessDocker,
)
