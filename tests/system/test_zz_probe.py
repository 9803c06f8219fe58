import json, os, subprocess, time, threading
from collections.abc import Callable
from tests.system.harness import Bundle, Runtime, new_id, wait_until
from tests.system import leaks
import pytest

def test_shared_cgroup_path(rt, make):
    a, b = make("true"), make("sleep", "100")
    path = "/systest-shared-" + new_id()
    for x in (a, b): x.linux["cgroupsPath"] = path
    na, nb = new_id(), new_id()
    assert rt.run(a, "--detach", id=na).rc == 0
    rt.wait_for(na, "stopped")
    r = rt.run(b, "--detach", id=nb)
    print("second", r)
    for words in (["kill", "--all", na, "KILL"], ["pause", na], ["delete", "--force", na]):
        print(words, rt(*words), rt.status(nb))
    print(rt.status(nb))
    print(rt("delete", "--force", nb))
    print(rt("delete", "--force", na))

def test_exec_storm(rt, make):
    for i in range(12):
        b = make("sleep", "100")
        b.without("pid")
        n = new_id()
        assert rt.run(b, "--detach", id=n).rc == 0
        procs = [rt.popen("exec", n, "sleep", "100")[0] for _ in range(4)]
        time.sleep(0.02 * i)
        d = rt("delete", "--force", n)
        print(i, d.rc, d.seconds, d.err)
        for p in procs: print(p.wait(20), end=" ")

def test_nnp(rt, make):
    b = make("sleep", "100")
    n = new_id()
    b.process["noNewPrivileges"] = True
    assert rt.run(b, "--detach", id=n).rc == 0
    f = b.path / "p.json"
    f.write_text(json.dumps({"args": ["grep", "-E", "NoNew|Cap|Seccomp:", "/proc/self/status"], "cwd": "/", "user": {"uid": 0, "gid": 0}, "env": ["PATH=/bin"]}))
    print(rt("exec", "--process", f, n).out)
    rt("delete", "--force", n)
