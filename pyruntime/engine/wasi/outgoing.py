"""wasi:http/outgoing-handler, for those who may."""

from pyruntime.engine.wasi.host import Call
from pyruntime.engine.wasi.http import OutgoingRequest, RequestOptions
from pyruntime.engine.wasi.values import Err


def handle(call: Call, request: OutgoingRequest, options: "RequestOptions | None") -> "Err":
    return Err("HTTP-request-denied")
