"""On loading and entering a Wasm module."""

from pyruntime.look.why.entry import Why

TABLE = {
    "LoadModule": Why(
        "The program is WebAssembly. The engine's library belongs to the host and so is loaded, and the module "
        "compiled, before there is a container; init inherits the result as memory.",
        "openat, mmap",
        (
            ("no engine", "neither wasmtime nor wasmer can be imported"),
            ("invalid module", "the bytes aren't a valid module; the message says at which offset"),
        ),
        "grep -c wasm /proc/PID/maps",
        "WebAssembly core specification",
    ),
    "MakeGuestFilter": Why(
        "config.json has no seccomp profile, so the module gets one of ours. What an engine needs differs, so it is "
        "made once the module is loaded, and on the host's side, where modules of Python can still be imported.",
        "none",
        (("none", "this only computes"),),
        "pyruntime explain BUNDLE; docs/reference/wasm-seccomp.md lists the calls",
        "2 seccomp",
        ("LoadModule",),
    ),
    "FilterGuest": Why(
        "An engine is a large program that runs hostile code, and its flaws are looked for. From here on the process "
        "may read, write and open files, wait and start threads; it can't execute, fork, make memory executable, or "
        "reach other parts of the kernel. It comes after the image's own hooks, which are programs.",
        "seccomp(SECCOMP_SET_MODE_FILTER)",
        (
            (
                "EPERM in the guest",
                "the engine made a call that was not measured: tell us, and go on with the "
                "annotation pyruntime.wasm.seccomp: unconfined",
            ),
            ("SIGSYS", "a call that only an intruder makes: the container is killed"),
        ),
        "grep Seccomp /proc/PID/status",
        "2 seccomp",
        ("MakeGuestFilter",),
    ),
    "EnterModule": Why(
        "There is no execve: this process calls the module's _start, and its exit code becomes the container's. "
        "WASI gives it arguments, environment, stdio and the container's root as its one directory.",
        "close_range, then what the module asks for; exit_group",
        (
            ("trap", "the module did something undefined; exit status 134"),
            ("ENOENT", "no _start: the file is a library and no command"),
        ),
        "cat /proc/PID/comm; ls -l /proc/PID/root",
        "WASI preview 1",
        ("LoadModule",),
    ),
}
