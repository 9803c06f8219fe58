"""What components get from their host where wasmtime's C library has nothing to offer.

    binding.py    the C functions that components take
    values.py     values of the component model: from the library's memory, and back into it
    world.py      what a component imports and exports, by name
    sections.py   the names of imports, from the bytes alone
    host.py       host functions and resources in Python: calls, tables, errors
    linking.py    all of the following, put into a linker
    io.py         wasi:io: pollables and streams
    cli.py        wasi:cli, wasi:clocks, wasi:random
    files.py      wasi:filesystem
    sockets.py    wasi:sockets: its functions; tcp.py, udp.py the sockets themselves
    http.py       wasi:http: fields, requests, responses, bodies
    outgoing.py   wasi:http/outgoing-handler, and tls.py for it
    message.py    HTTP/1.1 on a connection
    server.py     listening, and a thread for each connection
    service.py    wasi:http/incoming-handler: an instance for each request

The C library has no way to make an incoming request, and makes no sockets; resources of one kind have one maker. Who
makes the requests makes the bodies' streams, and so everything else that hands out streams or pollables. A component
that serves gets all its imports from here, and a command that was given the network; all others from the library.
"""
