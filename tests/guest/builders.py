"""Who builds images by running containers, each with its own words for the same acts, over pyruntime."""

import json
import subprocess
import time
from pathlib import Path

from tests.guest.engines import (
    AS_USER,
    DAEMON,
    USER_UNIT,
    USERS_DOCKER,
    answers,
    call,
    done,
    program,
    start_users_docker,
    stop_users_docker,
)
from tests.system.harness import wait_until

Result = subprocess.CompletedProcess[str]


class Builder:
    """Builds from a folder with a Containerfile; what it made is looked at by its files."""

    name = ""

    def __init__(self, runtime: Path) -> None:
        self.runtime = str(runtime)

    def begin(self) -> None:
        """Start what has to run for it."""

    def end(self) -> None:
        """Stop that."""

    def build(self, folder: Path, tag: str) -> Result:
        raise NotImplementedError

    def read(self, tag: str, path: str) -> str:
        """A file of the image that was built."""
        raise NotImplementedError


class Buildah(Builder):
    """With the isolation that runs a runtime; networks are not what is tested."""

    name = "buildah"
    isolation = "oci"
    become: "tuple[str, ...]" = ()

    def call(self, verb: str, *arguments: str) -> Result:
        return call(*self.become, "buildah", verb, *arguments)

    def running(self, verb: str) -> "list[str]":
        """The words of a verb that runs containers."""
        return [*self.become, "buildah", verb, "--runtime", self.runtime, "--isolation", self.isolation]

    def build(self, folder: Path, tag: str) -> Result:
        return call(*self.running("build"), "--network", "none", "--tag", tag, str(folder))

    def container(self, image: str) -> str:
        """A working container; its name."""
        made = self.call("from", "--pull-never", image)
        assert made.returncode == 0, made
        return made.stdout.strip()

    def run(self, container: str, *command: str, flags: "tuple[str, ...]" = ()) -> Result:
        return call(*self.running("run"), *flags, container, "--", *command)

    def read(self, tag: str, path: str) -> str:
        container = self.container(f"localhost/{tag}")
        result = self.run(container, "cat", path)
        self.call("rm", container)
        assert result.returncode == 0, result
        return result.stdout


class RootlessBuildah(Buildah):
    name = "buildah, rootless"
    isolation = "rootless"
    become = AS_USER


class PodmanBuild(Builder):
    """Buildah inside podman, which hands its own runtime on."""

    name = "podman build"
    become: "tuple[str, ...]" = ()

    def build(self, folder: Path, tag: str) -> Result:
        words = ("build", "--isolation", "oci", "--network", "none", "--tag", tag)
        return call(*self.become, "podman", "--runtime", self.runtime, *words, str(folder))

    def read(self, tag: str, path: str) -> str:
        run = ("run", "--rm", "--network", "none", f"localhost/{tag}", "cat", path)
        return done(*self.become, "podman", "--runtime", self.runtime, *run) + "\n"


class RootlessPodmanBuild(PodmanBuild):
    name = "podman build, rootless"
    become = AS_USER


class DockerBuild(Builder):
    """Docker's builder of old, whose containers are the daemon's own: so pyruntime is its default."""

    name = "docker build, classic"
    buildkit = "0"
    become: "tuple[str, ...]" = ()
    client: "tuple[str, ...]" = ("docker",)
    drop_in = Path("/run/systemd/system/docker.service.d/pyruntime-test.conf")

    def begin(self) -> None:
        settings = {"runtimes": {"pyruntime": {"path": self.runtime}}, "default-runtime": "pyruntime"}
        DAEMON.parent.mkdir(exist_ok=True)
        DAEMON.write_text(json.dumps(settings))
        self.drop_in.parent.mkdir(parents=True, exist_ok=True)
        self.drop_in.write_text(f"[Service]\nEnvironment=DOCKER_BUILDKIT_RUNC_COMMAND={self.runtime}\n")
        done("systemctl", "daemon-reload")
        done("systemctl", "restart", "docker")

    def end(self) -> None:
        self.drop_in.unlink()
        DAEMON.unlink()
        done("systemctl", "daemon-reload")
        done("systemctl", "stop", "docker", "docker.socket")

    def build(self, folder: Path, tag: str) -> Result:
        way = ("env", f"DOCKER_BUILDKIT={self.buildkit}", "BUILDKIT_PROGRESS=plain", *self.client)
        words = ("build", "--network", "none", "--file", f"{folder}/Containerfile", "--tag", tag, str(folder))
        return call(*self.become, *way, *words)

    def read(self, tag: str, path: str) -> str:
        run = ("run", "--rm", "--network", "none", tag, "cat", path)
        return done(*self.become, *self.client, *run) + "\n"


class DockerBuildKit(DockerBuild):
    """The BuildKit inside of the daemon, by a variable of its own; default-runtime does not count for it."""

    name = "docker build, BuildKit"
    buildkit = "1"


class RootlessDockerBuild(DockerBuild):
    """With the user's own daemon."""

    name = "docker build, classic, rootless"
    become = AS_USER
    client = USERS_DOCKER

    def begin(self) -> None:
        start_users_docker(self.runtime, "--default-runtime", "pyruntime")

    def end(self) -> None:
        stop_users_docker()


class RootlessDockerBuildKit(RootlessDockerBuild):
    name = "docker build, BuildKit, rootless"
    buildkit = "1"


class BuildKit(Builder):
    """buildkitd by itself, with its own worker; what it makes is written to a folder."""

    name = "buildkitd"
    place = Path("/var/lib/pyruntime-test-buildkit")
    become: "tuple[str, ...]" = ()
    unit: "tuple[str, ...]" = ("systemd-run", "--quiet", "--collect", "-p", "Delegate=yes")
    wrapper: "tuple[str, ...]" = ()
    flags: "tuple[str, ...]" = ()
    stop: "tuple[str, ...]" = ("systemctl",)

    def begin(self) -> None:
        done(*self.become, "mkdir", "-p", str(self.place))
        worker = f'[worker.oci]\nbinary = "{self.runtime}"\nsnapshotter = "overlayfs"\nnetworkMode = "host"\n'
        (self.place / "buildkitd.toml").write_text(f"{worker}[worker.containerd]\nenabled = false\n")
        self.address = f"unix://{self.place}/socket"
        places = ("--config", f"{self.place}/buildkitd.toml", "--root", f"{self.place}/root", "--addr", self.address)
        daemon = (*self.wrapper, program("buildkitd"), *self.flags, *places)
        done(*self.unit, "--unit=buildkitd-test", *daemon)
        wait_until(lambda: answers(*self._buildctl("debug", "workers")), "buildkitd answers", 60)

    def _buildctl(self, *arguments: str) -> "list[str]":
        return [*self.become, program("buildctl"), "--addr", self.address, *arguments]

    def end(self) -> None:
        done(*self.stop, "stop", "buildkitd-test")

    def build(self, folder: Path, tag: str) -> Result:
        sources = [f"--local={kind}={folder}" for kind in ("context", "dockerfile")]
        options = ("--opt", "filename=Containerfile", "--progress=plain")
        out = f"type=local,dest={self.place}/{tag}"
        words = ("build", "--frontend", "dockerfile.v0", *options, *sources, "--output", out)
        return call(*self._buildctl(*words))

    def read(self, tag: str, path: str) -> str:
        return Path(f"{self.place}/{tag}{path}").read_text()


class RootlessBuildKit(BuildKit):
    """In a user namespace that RootlessKit makes."""

    name = "buildkitd, rootless"
    place = Path("/home/user/buildkit-test")
    become = AS_USER
    unit = USER_UNIT
    wrapper = ("rootlesskit", "--net=host", "--copy-up=/etc", "--copy-up=/run")
    flags = ("--rootless",)
    stop = (*AS_USER, "systemctl", "--user")


BUILDERS: "tuple[type[Builder], ...]" = (
    Buildah,
    RootlessBuildah,
    PodmanBuild,
    RootlessPodmanBuild,
    DockerBuild,
    DockerBuildKit,
    RootlessDockerBuild,
    RootlessDockerBuildKit,
    BuildKit,
    RootlessBuildKit,
)


def unique(prefix: str) -> str:
    """A name for an image that no other test uses."""
    return f"{prefix}-{time.monotonic_ns()}"
