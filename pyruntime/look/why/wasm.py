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
