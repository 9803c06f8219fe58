def test_smoke(rt, bundle):
    r = rt.run(bundle.sh("id; cat /proc/self/mountinfo; ulimit -a"))
    print(r)
    assert r.rc == 0
