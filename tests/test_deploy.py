"""deploy/: current, readable, and the installer on trees like those of nodes.

For Kubernetes' own schemas give the folder of its OpenAPI documents (api/openapi-spec/v3 of its source) in the
environment variable PYRUNTIME_KUBERNETES_OPENAPI.
"""

import http.server
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
OPENAPI = Path(os.environ.get("PYRUNTIME_KUBERNETES_OPENAPI") or "/nonexistent")
V3 = "version = 3\n"


def documents(file: Path) -> "list[dict[str, Any]]":
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    return [document for document in yaml.safe_load_all(file.read_text()) if document]


def test_the_files_are_what_setup_writes() -> None:
    place = importlib.util.spec_from_file_location("deploy_files", ROOT / "scripts/lib/deploy_files.py")
    assert place is not None and place.loader is not None  # noqa: PT018
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    for name, text in module.files().items():
        assert (DEPLOY / name).read_text() == text, "run scripts/lib/deploy_files.py"


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.name)
def test_a_manifest_says_what_it_is(file: Path) -> None:
    for document in documents(file):
        assert {"apiVersion", "kind", "metadata"} <= document.keys()
        pod = document["spec"].get("template", document)["spec"] if "spec" in document else {}
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        for container in [*pod.get("initContainers", []), *pod.get("containers", [])]:
            assert {"name", "image"} <= container.keys()
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes


@pytest.mark.skipif(not OPENAPI.is_dir(), reason="PYRUNTIME_KUBERNETES_OPENAPI names no folder")
@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.name)
def test_a_manifest_fits_the_schema_of_kubernetes(file: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    for document in documents(file):
        group, _, version = document["apiVersion"].rpartition("/")
        name = f"apis__{group}__{version}_openapi.json" if group else f"api__{version}_openapi.json"
        whole = json.loads((OPENAPI / name).read_text())
        kinds = {
            kind["kind"]: path
            for path, schema in whole["components"]["schemas"].items()
            for kind in schema.get("x-kubernetes-group-version-kind", [])
            if (kind["group"], kind["version"]) == (group, version)
        }
        schema = {"$ref": f"#/components/schemas/{kinds[document['kind']]}", "components": whole["components"]}
        jsonschema.validate(document, schema)


def test_the_runtime_class_selects_what_the_installer_labels() -> None:
    (runtime_class,) = documents(DEPLOY / "kubernetes/runtimeclass.yaml")
    assert runtime_class["handler"] == "pyruntime"
    assert runtime_class["scheduling"]["nodeSelector"] == {"pyruntime-ready": "true"}
    for name in ("linux", "wasm", "sidecar"):
        (pod,) = documents(DEPLOY / f"kubernetes/example-{name}.yaml")
        assert pod["spec"]["runtimeClassName"] == runtime_class["metadata"]["name"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the installer's image has in /opt/pyruntime, as far as it is ours."""
    folder = tmp_path_factory.mktemp("source") / "pyruntime"
    shutil.copytree(ROOT / "bin", folder / "bin")
    shutil.copytree(ROOT / "pyruntime", folder / "pyruntime", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.mark.parametrize(
    ("there", "written"),
    [
        ("etc/containerd/config.toml", "etc/containerd/config.toml"),
        ("etc/crio/crio.conf", "etc/crio/crio.conf.d/50-pyruntime.conf"),
        (
            "var/lib/rancher/k3s/agent/etc/containerd/config.toml",
            "var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl",
        ),
        ("etc/k0s/containerd.toml", "etc/k0s/containerd.d/50-pyruntime.toml"),
    ],
)
def test_the_installer_on_a_node_and_back(source: Path, tmp_path: Path, there: str, written: str) -> None:
    (tmp_path / there).parent.mkdir(parents=True)
    (tmp_path / there).write_text(V3)
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYRUNTIME_SOURCE": str(source)}
    install = str(DEPLOY / "kubernetes/install")
    for _ in range(2):
        subprocess.run([install, str(tmp_path)], check=True, env=env, timeout=60, capture_output=True)
    assert "/opt/pyruntime/bin/pyruntime" in (tmp_path / written).read_text()
    assert os.access(tmp_path / "opt/pyruntime/bin/pyruntime", os.X_OK)
    subprocess.run([install, str(tmp_path), "--undo"], check=True, env=env, timeout=60, capture_output=True)
    left = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert left == [Path(there)]
    assert (tmp_path / there).read_text() == V3


def test_the_label_is_asked_for_as_kubernetes_wants_it(tmp_path: Path) -> None:
    """Against a server of our own without TLS: the script's request, not a cluster's answer."""
    seen: "list[tuple[str, str, str, bytes]]" = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PATCH(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, self.headers["Authorization"], self.headers["Content-Type"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    (tmp_path / "token").write_text("secret")
    script = (DEPLOY / "kubernetes/label-node").read_text()
    script = script.replace('Path("/var/run/secrets/kubernetes.io/serviceaccount")', f"Path({str(tmp_path)!r})")
    script = script.replace('f"https://', 'f"http://').replace("ssl.create_default_context", "(lambda cafile: None)")
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        place = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(server.server_port)}
        env = {**place, "NODE": "n1", "PATH": "/usr/bin:/bin"}
        subprocess.run([sys.executable, "-I", "-c", script], check=True, env=env, timeout=30, capture_output=True)
    (path, token, kind, body) = seen[0]
    assert (path, token, kind) == ("/api/v1/nodes/n1", "Bearer secret", "application/merge-patch+json")
    assert json.loads(body) == {"metadata": {"labels": {"pyruntime-ready": "true"}}}
