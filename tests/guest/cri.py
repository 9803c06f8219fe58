"""Servers of the Container Runtime Interface in the guest, with the handlers pyruntime and runc, and crictl for them.

containerd is Debian's and, where scripts/guest programs has built it, one of version 2, as is CRI-O; each with folders,
a socket and a network of its own, so that none is in the others' way nor in that of the engines beside them.
"""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.guest.engines import PROGRAMS, call, done, program
from tests.guest.guests import PAUSE
from tests.system.harness import wait_until

# Named as by a kubelet with a slice of its own: one that runs beside these tests ends pods that it does not know of.
_SLICES = ("crictl", "crictl-kubepods", "crictl-kubepods-besteffort", "crictl-kubepods-besteffort-pod1")
POD_CGROUP = "".join(f"/{name}.slice" for name in _SLICES)


class Server:
    """One that answers on a socket, as a transient unit."""

    name = ""
    socket = ""
    scope = "cri-containerd-"
    label = "cri-containerd.apparmor.d (enforce)"
    capabilities = "00000000a80425fb"
    states = "/run/containerd/runc/k8s.io"  # where the runtime's folders are
    handler_of_pods = "pyruntime"  # as `crictl pods` tells it
    seccomp = "0"  # the mode, for a pod that names no profile
    reasons_of_oom = ("OOMKilled",)
    looks_at_create = False  # whether `crictl create` fails for a program that is not there

    def __init__(self, runtime: Path) -> None:
        program("crictl")
        self.runtime = str(runtime)

    def start(self) -> None:
        """Write its configuration, and begin."""
        raise NotImplementedError

    def begin(self, *command: str, path: str = "/usr/sbin:/usr/bin:/sbin:/bin") -> None:
        """Start the unit, and wait until crictl is answered that runtime and network are ready."""
        self.end()
        properties = ("-p", "Delegate=yes", "-p", "KillMode=process", "-E", f"PATH={path}")
        done("systemd-run", "--quiet", f"--unit={self.name}", "--collect", *properties, *command)
        wait_until(self.ready, f"{self.name} is ready", 120)

    def end(self) -> None:
        call("systemctl", "stop", self.name)
        call("systemctl", "reset-failed", self.name)

    def ready(self) -> bool:
        answer = self.crictl("info")
        if answer.returncode:
            time.sleep(0.5)
            return False
        conditions = json.loads(answer.stdout)["status"]["conditions"]
        assert all(each["status"] for each in conditions if each["type"] != "NetworkReady"), conditions
        return all(each["status"] for each in conditions)

    def crictl(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return call(*self.client(), *arguments)

    def client(self) -> "list[str]":
        """The words that crictl is called with for this server."""
        file = Path(f"/run/{self.name}.yaml")
        address = f"unix://{self.socket}"
        file.write_text(f"runtime-endpoint: {address}\nimage-endpoint: {address}\ntimeout: 240\n")
        return [program("crictl"), "--config", str(file)]

    def done(self, *arguments: str) -> str:
        """What crictl prints when it has to succeed."""
        result = self.crictl(*arguments)
        assert result.returncode == 0, result
        return result.stdout.strip()

    def load(self, *images: Path) -> None:
        raise NotImplementedError

    def is_ours(self, id: str) -> bool:
        """Whether a container was made by pyruntime, with systemd's cgroups."""
        options = inspected(self, id)["info"]["runtimeOptions"]
        return options["binary_name"].endswith("pyruntime") and options["systemd_cgroup"] is True

    def journal(self) -> str:
        return call("journalctl", "--unit", self.name, "-o", "cat", "--no-pager", "-n", "50").stdout


class Containerd(Server):
    """Debian's, 1.7, with a configuration of version 2."""

    name = "cri-containerd-1"
    folder = "/usr/bin"
    config = """
version = 2
root = "/var/lib/{name}"
state = "/run/{name}"
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  enable_unprivileged_ports = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/{name}"
{handlers}
"""
    table = '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{handler}'

    subnet = 88

    def __init__(self, runtime: Path) -> None:
        super().__init__(runtime)
        self.socket = f"/run/{self.name}.sock"

    def handler(self, handler: str, binary: str) -> str:
        table = self.table.format(handler=handler)
        kind = 'runtime_type = "io.containerd.runc.v2"'
        annotations = 'pod_annotations = ["run.oci.handler", "pyruntime.wasm.*"]'
        options = f'BinaryName = "{binary}"\nSystemdCgroup = true'
        return f"{table}]\n{kind}\n{annotations}\n{table}.options]\n{options}\n"

    def start(self) -> None:
        place = Path("/etc", self.name)
        place.mkdir(exist_ok=True)
        write_network(place, self.subnet)
        handlers = self.handler("pyruntime", self.runtime) + self.handler("runc", "/usr/bin/runc")
        text = self.config.format(name=self.name, socket=self.socket, pause=PAUSE, handlers=handlers)
        (place / "config.toml").write_text(text)
        path = f"{self.folder}:/usr/sbin:/usr/bin:/sbin:/bin"
        self.begin(f"{self.folder}/containerd", "--config", f"{place}/config.toml", path=path)

    def load(self, *images: Path) -> None:
        for image in images:
            done(f"{self.folder}/ctr", "-a", self.socket, "-n", "k8s.io", "image", "import", str(image))


class Containerd2(Containerd):
    """One of version 2, with a configuration of version 3."""

    name = "cri-containerd-2"
    folder = str(PROGRAMS)
    config = """
version = 3
root = "/var/lib/{name}"
state = "/run/{name}"
[grpc]
  address = "{socket}"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{pause}"
[plugins.'io.containerd.cri.v1.runtime']
  enable_unprivileged_ports = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["/usr/lib/cni"]
    conf_dir = "/etc/{name}"
{handlers}
"""
    table = "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.{handler}"

    subnet = 89

    def __init__(self, runtime: Path) -> None:
        program("containerd")
        super().__init__(runtime)


class Crio(Server):
    """CRI-O, whose images are podman's."""

    name = "cri-o"
    socket = "/run/crio/crio.sock"
    scope = "crio-"
    label = "crio-default (enforce)"
    capabilities = "00000000000005fb"
    states = "/run/pyruntime-crio"
    handler_of_pods = ""
    seccomp = "2"
    reasons_of_oom = ("OOMKilled", "Error")  # conmon does not always see it, nor over runc
    looks_at_create = True
    config = """
[crio.image]
pause_image = "{pause}"
pause_command = ""
[crio.runtime]
default_runtime = "runc"
conmon = "/usr/bin/conmon"
cgroup_manager = "systemd"
pinns_path = "{pinns}"
[crio.runtime.runtimes.pyruntime]
runtime_path = "{runtime}"
runtime_root = "{states}"
[crio.runtime.runtimes.runc]
runtime_path = "/usr/bin/runc"
[crio.network]
network_dir = "/etc/{name}"
plugin_dirs = ["/usr/lib/cni"]
"""

    def start(self) -> None:
        place = Path("/etc", self.name)
        place.mkdir(exist_ok=True)
        write_network(place, 90)
        pinns, crio = program("pinns"), program("crio")
        values = {"pause": PAUSE, "pinns": pinns, "runtime": self.runtime, "states": self.states, "name": self.name}
        (place / "crio.conf").write_text(self.config.format(**values))
        self.begin(crio, "--config", f"{place}/crio.conf", "--config-dir", f"{place}/none")

    def load(self, *images: Path) -> None:
        for image in images:
            done("podman", "load", "--quiet", "--input", str(image))

    def is_ours(self, id: str) -> bool:
        return Path(self.states, id).is_dir()


SERVERS: "tuple[type[Server], ...]" = (Containerd, Containerd2, Crio)


def write_network(folder: Path, subnet: int) -> None:
    """A bridge of this server's own."""
    ranges = {"type": "host-local", "ranges": [[{"subnet": f"10.{subnet}.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": f"cri{subnet}", "isGateway": True, "hairpinMode": True, "ipam": ranges}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    text = {"cniVersion": "1.0.0", "name": f"net{subnet}", "plugins": [bridge, ports]}
    (folder / "10-net.conflist").write_text(json.dumps(text))


class Pod:
    """A sandbox with the handler, and the containers in it."""

    def __init__(self, server: Server, folder: Path, name: str, handler: str = "pyruntime", **more: "Any") -> None:
        self.server, self.folder, self.name = server, folder, name
        self.logs = folder / f"{name}-logs"
        self.logs.mkdir()
        linux = {"cgroup_parent": POD_CGROUP, **more.pop("linux", {})}
        metadata = {"name": name, "namespace": "test", "uid": f"uid-{name}", "attempt": 1}
        config = {"metadata": metadata, "log_directory": str(self.logs), "linux": linux, **more}
        self.config = self._write(f"{name}.json", config)
        self.id = server.done("runp", "--runtime", handler, self.config)

    def _write(self, name: str, content: "dict[str, Any]") -> str:
        (self.folder / name).write_text(json.dumps(content))
        return str(self.folder / name)

    def create(self, name: str, image: str, *command: str, **more: "Any") -> str:
        """A container that is not started; its id."""
        linux = {"resources": {"memory_limit_in_bytes": 128 << 20}, **more.pop("linux", {})}
        config: "dict[str, Any]" = {"metadata": {"name": name}, "image": {"image": image}, "log_path": f"{name}.log"}
        config.update(command=list(command), linux=linux, **more)
        file = self._write(f"{self.name}-{name}.json", config)
        return self.server.done("create", "--no-pull", self.id, file, self.config)

    def run(self, name: str, image: str, *command: str, **more: "Any") -> str:
        """A container that is started; its id."""
        id = self.create(name, image, *command, **more)
        self.server.done("start", id)
        return id

    def remove(self) -> None:
        self.server.crictl("rmp", "--force", self.id)


def inspected(server: Server, id: str) -> "dict[str, Any]":
    """What the server tells of a container."""
    found: "dict[str, Any]" = json.loads(server.done("inspect", id))
    return found


def state(server: Server, id: str) -> str:
    return str(inspected(server, id)["status"]["state"]).removeprefix("CONTAINER_").lower()


def ended(server: Server, id: str) -> int:
    """Wait for the end of a container; its exit status."""
    wait_until(lambda: state(server, id) == "exited", f"{id} has ended", 60)
    return int(inspected(server, id)["status"].get("exitCode", 0))


def logged(server: Server, id: str) -> str:
    """What a container has printed, both streams, after waiting for something to be there."""
    wait_until(lambda: server.done("logs", id) != "", f"{id} has printed something", 60)
    result = server.crictl("logs", id)
    return result.stdout + result.stderr
