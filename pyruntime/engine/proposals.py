"""Which proposals an engine takes, found by handing it a module of each: libraries are built with and without them.

Each module is the smallest that needs its proposal (github.com/WebAssembly/proposals), less the 8 bytes of the head.
tests/engine/test_proposals.py has the text of each.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_HEAD = b"\0asm\1\0\0\0"

MODULES = {
    "multi-value": "0106016000027f7f030201000a08010600410041000b",
    "bulk-memory": "0104016000000302010005030100010a0d010b00410041004100fc0b000b",
    "reference-types": "010401600000030201000a07010500d06f1a0b",
    "simd": "010401600000030201000a17011500fd0c000000000000000000000000000000001a0b",
    "relaxed-simd": "01050160017b00030201000a0c010a0020002000fd80021a0b",
    "tail-call": "010401600000030201000a0601040012000b",
    "extended-const": "0609017f00410041006a0b",
    "threads": "050401030101",
    "memory64": "0503010401",
    "multi-memory": "05050200010001",
    "exception-handling": "010401600000030201000d030100000a10010e0002401f400100000008000b0b0b",
    "function-references": "0109026000006001640000030201010a08010600200014000b",
    "gc": "0106025f00600000030201010a08010600fb00001a0b",
    "wide-arithmetic": "01070160017e027e7e030201000a0a01080020002000fc150b",
}


def supported(valid: "Callable[[bytes], bool]") -> "tuple[str, ...]":
    """The names of the proposals whose module is `valid` for an engine."""
    return tuple(name for name, module in MODULES.items() if valid(_HEAD + bytes.fromhex(module)))
