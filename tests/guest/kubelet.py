"""A kubelet in the guest, without an API server: its pods are files in a folder, and its port is on loopback.

Which handler a pod runs with is in a RuntimeClass, and those are the API server's. So containerd is one whose default
is pyruntime, and the pods here name no class: at one that does, a kubelet 1.37 without an API server panics.
"""

import json
import os
import shutil
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.guest.cri import Containerd, Containerd2, Server, inspected
from tests.guest.engines import PATIENCE, call, done, program
from tests.system.harness import wait_until

NODE = "guest"
PORT = 10250
LOGS = Path("/var/log/pods")
LINKS = Path("/var/log/containers")  # to the files there
CGROUPS = Path("/sys/fs/cgroup")


class OursByDefault(Containerd):
    """Debian's containerd for a kubelet."""

    name = "kubelet-containerd-1"
    config = Containerd.config.replace(
        "{handlers}",
        '[plugins."io.containerd.grpc.v1.cri".containerd]\n  default_runtime_name = "pyruntime"\n{handlers}',
    )
    subnet = 91


class OursByDefault2(Containerd2):
    """One of version 2 for a kubelet."""

    name = "kubelet-containerd-2"
    config = Containerd2.config.replace(
        "{handlers}",
        "  [plugins.'io.containerd.cri.v1.runtime'.containerd]\n    default_runtime_name = \"pyruntime\"\n{handlers}",
    )
    subnet = 92


class Kubelet:
    """A unit of its own, with its own folders, above one of the servers."""

    unit = "pyruntime-kubelet"

    def __init__(self, server: Server) -> None:
        self.program = program("kubelet")
        self.server = server
        self.place = Path("/var/lib", self.unit)
        self.manifests = self.place / "manifests"

    def config(self) -> "dict[str, Any]":
        """A KubeletConfiguration: anybody on loopback may ask, nothing is evicted, no packet filter is set."""
        nothing = dict.fromkeys(("memory.available", "nodefs.available", "imagefs.available"), "0%")
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "staticPodPath": str(self.manifests),
            "containerRuntimeEndpoint": f"unix://{self.server.socket}",
            "cgroupDriver": "systemd",
            "failSwapOn": False,
            "address": "127.0.0.1",
            "port": PORT,
            "healthzPort": 0,
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "evictionHard": nothing,
            "imageGCHighThresholdPercent": 100,
            "resolvConf": "",
            "makeIPTablesUtilChains": False,
            "volumePluginDir": str(self.place / "plugins"),
            "runtimeRequestTimeout": f"{PATIENCE}s",
        }

    def start(self) -> None:
        """Begin, and wait until it says that it is well."""
        self.manifests.mkdir(parents=True, exist_ok=True)
        config = self.place / "config.json"
        config.write_text(json.dumps(self.config()))
        flags = (f"--config={config}", f"--root-dir={self.place}", f"--hostname-override={NODE}")
        # One that has ended and one whose start takes long both count as dead: the first would be forgotten at once.
        more = (f"--cert-dir={self.place}/pki", "--maximum-dead-containers-per-container=2")
        unit = ("systemd-run", "--quiet", f"--unit={self.unit}", "--collect", "-p", "KillMode=process")
        done(*unit, self.program, *flags, *more)
        wait_until(self.is_well, "the kubelet is well", 60)

    def is_well(self) -> bool:
        try:
            return self.ask("/healthz") == "ok"
        except OSError:
            time.sleep(2)
            return False

    def stop(self) -> None:
        """The kubelet alone: pods go on."""
        call("systemctl", "stop", self.unit)
        call("systemctl", "reset-failed", self.unit)

    def remove(self) -> None:
        """Its pods too, and what it has written."""
        for manifest in self.manifests.glob("*.json"):
            manifest.unlink()
        try:
            poll(lambda: not self.pods() and not self.sandboxes(), "all pods are gone", 180)
        finally:
            self.stop()
            for id in self.sandboxes():  # of a kubelet that has failed
                self.server.crictl("rmp", "--force", id)
            call("systemctl", "stop", "kubepods.slice")
            shutil.rmtree(self.place, ignore_errors=True)

    def ask(self, path: str, method: str = "GET") -> str:
        """What its port answers. Raises OSError; an answer that is an error is one, with its text."""
        request = urllib.request.Request(f"https://127.0.0.1:{PORT}{path}", method=method)
        unknown = ssl._create_unverified_context()  # its certificate is made by itself, at its start
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE, context=unknown) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            raise OSError(f"{method} {path}: {error.code}: {error.read().decode()}") from error

    def pods(self) -> "list[dict[str, Any]]":
        found: "list[dict[str, Any]]" = json.loads(self.ask("/pods"))["items"] or []
        return found

    def sandboxes(self) -> "list[str]":
        """The ids of the server's pods, those that have ended too."""
        return self.server.done("pods", "--quiet").split()

    def journal(self) -> str:
        return call("journalctl", "--unit", self.unit, "-o", "cat", "--no-pager", "-n", "100").stdout


def poll(condition: "Callable[[], bool]", what: str, seconds: float = 120) -> None:
    """wait_until with pauses, as asking is work for an emulated host."""

    def holds() -> bool:
        time.sleep(2)
        return condition()

    wait_until(holds, what, seconds)


def container(name: str, image: str, *command: str, **more: "Any") -> "dict[str, Any]":
    """One as it is in a manifest."""
    return {"name": name, "image": image, "imagePullPolicy": "Never", "command": list(command), **more}


def by_exec(*command: str) -> "dict[str, Any]":
    """A probe that is a program: one failure is enough, and there is time for an emulated host to start it."""
    return {"exec": {"command": list(command)}, "periodSeconds": 5, "timeoutSeconds": PATIENCE, "failureThreshold": 1}


class StaticPod:
    """A manifest in the kubelet's folder, and the pod that becomes of it."""

    def __init__(self, kubelet: Kubelet, name: str, *containers: "dict[str, Any]", **spec: "Any") -> None:
        self.kubelet, self.name = kubelet, f"{name}-{NODE}"  # the name that a kubelet gives it
        self.manifest = kubelet.manifests / f"{name}.json"
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "test"}}
        text = json.dumps({**pod, "spec": {"containers": list(containers), **spec}})
        draft = kubelet.manifests / f".{name}"  # names with a dot are not looked at
        draft.write_text(text)
        draft.rename(self.manifest)

    def seen(self) -> "dict[str, Any]":
        """What the kubelet tells of it; nothing, while it tells nothing."""
        return next((pod for pod in self.kubelet.pods() if pod["metadata"]["name"] == self.name), {})

    @property
    def uid(self) -> str:
        return str(self.seen()["metadata"]["uid"])

    def status(self, container: str) -> "dict[str, Any]":
        """Of one container, an initial one too; nothing, while there is none."""
        status = self.seen().get("status", {})
        all = (*status.get("containerStatuses", ()), *status.get("initContainerStatuses", ()))
        return next((each for each in all if each["name"] == container), {})

    def until(self, container: str, what: str, key: str, value: "Any") -> "dict[str, Any]":
        """Wait until a container's status has a value, or at least this number; the status then."""
        found: "dict[str, Any]" = {}

        def is_so() -> bool:
            found.clear()
            found.update(self.status(container))
            now = found.get(key)
            return now == value if isinstance(value, bool) else now is not None and now >= value

        try:
            poll(is_so, f"{container} of {self.name} {what}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {found}\n{self.kubelet.journal()}") from error
        return found

    def until_ready(self, container: str) -> "dict[str, Any]":
        return self.until(container, "is ready", "ready", True)

    def until_restarted(self, container: str) -> "dict[str, Any]":
        return self.until(container, "was started again", "restartCount", 1)

    def id(self, container: str) -> str:
        return str(self.status(container)["containerID"]).removeprefix("containerd://")

    def pid(self, container: str) -> int:
        return int(inspected(self.kubelet.server, self.id(container))["info"]["pid"])

    def cgroup(self, container: str) -> Path:
        lines = Path(f"/proc/{self.pid(container)}/cgroup").read_text().splitlines()
        return CGROUPS / next(line[4:] for line in lines if line.startswith("0::"))

    def run(self, container: str, *words: str) -> str:
        """What a program prints that the kubelet starts in there; words without blanks."""
        command = urllib.parse.urlencode({"cmd": " ".join(words)})
        return self.kubelet.ask(f"/run/test/{self.name}/{container}?{command}", "POST")

    def log(self, container: str, life: int = 0) -> "list[str]":
        """The lines of a container's log file, without what is before the text."""
        path = LOGS / f"test_{self.name}_{self.uid}" / container / f"{life}.log"
        return [line.split(" ", 3)[3] for line in path.read_text().splitlines()]

    def remove(self) -> None:
        self.manifest.unlink(missing_ok=True)


def left_of(kubelet: Kubelet, uid: str, ids: "list[str]", pids: "list[int]") -> "dict[str, list[str]]":
    """What there still is of a pod, of its sandbox and containers, by kind."""
    words = (uid, uid.replace("-", "_"), *ids)
    mounts = Path("/proc/1/mountinfo").read_text().splitlines()  # where containerd mounts; ours is another namespace
    places = (CGROUPS, Path(kubelet.server.states), Path("/run", kubelet.server.name), kubelet.place, LOGS, LINKS)
    return {
        "processes": [str(pid) for pid in pids if os.path.exists(f"/proc/{pid}")],
        "mounts": [line for line in mounts if any(word in line for word in words)],
        "sandboxes": [id for id in kubelet.sandboxes() if id in ids],
        **{str(place): [str(path) for word in words for path in place.rglob(f"*{word}*")] for place in places},
    }
