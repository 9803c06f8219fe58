"""What components get from their host where wasmtime's C library has nothing to offer.

    binding.py    the C functions that components take
    values.py     values of the component model: from the library's memory, and back into it
    world.py      what a component imports and exports, by name
    host.py       host functions and resources in Python: calls, tables, errors
    io.py         wasi:io: pollables and streams
    cli.py        wasi:cli, wasi:clocks, wasi:random; file system and sockets as far as saying no goes
    http.py       wasi:http: fields, requests, responses, bodies
    outgoing.py   wasi:http/outgoing-handler
    message.py    HTTP/1.1 on a connection
    server.py     wasi:http/incoming-handler served on a listening socket

The C library has no way to make an incoming request, and resources of one kind have one maker: who makes the requests
makes the bodies' streams, and so everything else that hands out streams or pollables. A component that serves gets all
its imports from here; a component that is a command gets them from the library.
"""
