"""Running a WebAssembly module in the container's init process, where a native program would be execve'd.

    select.py     does this container hold a module, and which engine was asked for?
    engines.py    the engines in the order they are tried; loads the module into the first that can run
    base.py       what an engine is; how a loaded module is run and what its exit status means
    find.py       where engine packages are looked for, and whose they may be
    signals.py    ends the process on SIGTERM although the guest never returns to Python
    faults.py     keeps the signals by which an engine notices traps
    wasmtime.py   wasmtime, through its C library (binding.py, cdata.py)
    component.py  components of WASI 0.2 on wasmtime; wasi/ has what its library has not
    preview1.py   passed-on sockets for modules of preview 1 on wasmtime
    permissions.py  what a guest may do on the network
    wasmer.py     wasmer, on CPython 3.10 only
    wasmedge.py   WasmEdge, through libwasmedge (native.py)
    wamr.py       WAMR, through libiwasm (native.py)
    refuse.py     what several engines cannot do, refused in the same words
    plugins.py    engines of other packages

Everything that opens a file or imports a module happens while the module is prepared, on the host's side of the root
change. `run` only calls what is in memory already.
"""
