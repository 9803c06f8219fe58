"""Limits that few hosts have: read back from the container's cgroup, or refused by name before there is one."""

from pathlib import Path

import pytest

from tests.system import leaks
from tests.system.harness import Bundle, Runtime, new_id

PAGES = Path("/sys/kernel/mm/hugepages")


def controllers() -> "list[str]":
    return Path(leaks.cgroup2_mount(), "cgroup.controllers").read_text().split()


def kept(rt: Runtime, bundle: Bundle, resources: "dict[str, object]", files: "list[str]") -> "list[str]":
    """What the files of the container's cgroup say while it runs with these resources."""
    name = new_id()
    bundle.process["args"] = ["sleep", "60"]
    bundle.linux["resources"].update(resources)
    bundle.linux["cgroupsPath"] = f"/{name}"
    result = rt.run(bundle, "--detach", id=name)
    assert result.rc == 0, result
    try:
        return [Path(leaks.cgroup2_mount(), name, file).read_text().strip() for file in files]
    finally:
        rt("delete", "--force", name)


@pytest.mark.parametrize("size", ["2MB", "1GB"])
def test_huge_pages(rt: Runtime, bundle: Bundle, size: str) -> None:
    kilobytes = {"2MB": 2048, "1GB": 1048576}[size]
    if "hugetlb" not in controllers() or not (PAGES / f"hugepages-{kilobytes}kB").is_dir():
        pytest.skip(f"needs the hugetlb controller on cgroup v2, and huge pages of {size}")
    limit = 3 * kilobytes * 1024
    limits = {"hugepageLimits": [{"pageSize": size, "limit": limit}]}
    files = [f"hugetlb.{size}.max", f"hugetlb.{size}.rsvd.max"]
    assert kept(rt, bundle, limits, files) == [str(limit)] * 2


def test_huge_pages_of_a_size_that_the_kernel_lacks(rt: Runtime, bundle: Bundle) -> None:
    bundle.sh("echo started").linux["resources"]["hugepageLimits"] = [{"pageSize": "3MB", "limit": 3 << 20}]
    result = rt.run(bundle)
    assert (result.rc, result.out) == (1, "")
    assert "linux.resources.hugepageLimits[0]" in result.err


def test_rdma(rt: Runtime, bundle: Bundle) -> None:
    devices = Path("/sys/class/infiniband")
    names = sorted(each.name for each in devices.iterdir()) if devices.is_dir() else []
    if "rdma" not in controllers() or not names:
        pytest.skip("needs the rdma controller on cgroup v2, and an RDMA device")
    limits = {"rdma": {names[0]: {"hcaHandles": 3, "hcaObjects": 100}}}
    (found,) = kept(rt, bundle, limits, ["rdma.max"])
    assert f"{names[0]} hca_handle=3 hca_object=100" in found.splitlines()


WITHOUT = {
    "rdma": ({"rdma": {"mlx5_1": {"hcaHandles": 3}}}, "linux.resources.rdma.mlx5_1"),
    "hugetlb": ({"hugepageLimits": [{"pageSize": "2MB", "limit": 1 << 21}]}, "linux.resources.hugepageLimits[0]"),
    "memory": ({"memory": {"limit": 1 << 26}}, "linux.resources.memory.limit"),
    "pids": ({"pids": {"limit": 9}}, "linux.resources.pids.limit"),
    "cpu": ({"cpu": {"shares": 512}}, "linux.resources.cpu.shares"),
    "cpuset": ({"cpu": {"cpus": "0"}}, "linux.resources.cpu.cpus"),
    "io": ({"blockIO": {"weight": 100}}, "linux.resources.blockIO.weight"),
}


@pytest.mark.parametrize("controller", WITHOUT)
def test_a_limit_without_its_controller(rt: Runtime, bundle: Bundle, controller: str) -> None:
    if controller in controllers():
        pytest.skip(f"this host has the {controller} controller on cgroup v2")
    resources, path = WITHOUT[controller]
    bundle.sh("echo started").linux["resources"].update(resources)
    result = rt.run(bundle)
    assert (result.rc, result.out) == (1, "")
    assert path in result.err
    assert f"the {controller} controller is not available in this cgroup tree" in result.err


@pytest.mark.parametrize("controller", WITHOUT)
def test_a_limit_without_a_cgroup(rt: Runtime, bundle: Bundle, controller: str) -> None:
    resources, path = WITHOUT[controller]
    bundle.sh("echo started").linux["resources"].update(resources)
    rt.flags = ("--cgroup-manager", "disabled")
    result = rt.run(bundle)
    assert (result.rc, result.out) == (1, "")
    assert f"{path}: cannot set limits without cgroups" in result.err


@pytest.mark.parametrize("asked", [{}, {"closID": "shared", "schemata": ["L3:0=f"]}, {"enableMonitoring": True}])
@pytest.mark.parametrize("verb", ["run", "create"])
def test_resctrl_where_there_is_none(rt: Runtime, bundle: Bundle, asked: "dict[str, object]", verb: str) -> None:
    if " - resctrl " in Path("/proc/self/mountinfo").read_text():
        pytest.skip("this host has resctrl")
    bundle.sh("echo started").linux["intelRdt"] = asked
    bundle.write()
    result = rt(verb, "--bundle", bundle.path, new_id())
    assert (result.rc, result.out) == (1, "")
    assert "linux.intelRdt: Intel RDT not available: no resctrl filesystem is mounted" in result.err
    assert rt.containers() == []


@pytest.mark.parametrize(("flag", "line"), [("--l3-cache-schema", "L3:0=f"), ("--mem-bw-schema", "MB:0=50")])
def test_update_of_resctrl_where_there_is_none(rt: Runtime, bundle: Bundle, flag: str, line: str) -> None:
    if " - resctrl " in Path("/proc/self/mountinfo").read_text():
        pytest.skip("this host has resctrl")
    name = new_id()
    assert rt.create(bundle, id=name).rc == 0
    try:
        result = rt("update", flag, line, name)
        assert result.rc == 1
        assert f"{flag}: Intel RDT/" in result.err
        assert "no resctrl filesystem is mounted" in result.err
    finally:
        rt("delete", "--force", name)
