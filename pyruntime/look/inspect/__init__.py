"""`inspect`: what a process is confined by, asked of the kernel from outside.

    subject.py   everything about one process, and the container it belongs to, as JSON values
    proc.py      what /proc/PID says: namespaces, users, capabilities, mounts
    cgroups.py   limits against use, pressure, kills
    calls.py     what a stored system call filter decides, found by running it
    compare.py   two subjects: what they share and what parts them
    show.py      a subject and a comparison as lines for people

Nothing is changed, entered or traced; what this user may not read is left out and said to be.
"""
