"""The check that keeps calls to the C library in step with the library that is installed."""

import pytest

from pyruntime.engine import binding
from pyruntime.engine.binding import check_shapes
from pyruntime.errors import Error

LINE = "\n_{name}.restype = {result}\n_{name}.argtypes = [{arguments}]\n"


def declare(name: str, result: str, *arguments: str) -> bytes:
    return LINE.format(name=name, result=result, arguments=", ".join(arguments)).encode()


@pytest.fixture(autouse=True)
def one_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "SHAPES", {"made_up": "PPN?>P"})


POINTER = "ctypes.POINTER(ctypes.POINTER(thing))"
FUNCTION = "ctypes.CFUNCTYPE(None, ctypes.c_void_p)"


def test_the_same_shape_is_accepted() -> None:
    check_shapes(declare("made_up", POINTER, POINTER, FUNCTION, "ctypes.c_size_t", "ctypes.c_bool"))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        declare("made_up_too", POINTER, POINTER, FUNCTION, "ctypes.c_size_t", "ctypes.c_bool"),
        declare("made_up", "None", POINTER, FUNCTION, "ctypes.c_size_t", "ctypes.c_bool"),
        declare("made_up", POINTER, POINTER, FUNCTION, "ctypes.c_size_t", "ctypes.c_size_t"),
        declare("made_up", POINTER, POINTER, FUNCTION, "ctypes.c_size_t"),
        declare("made_up", POINTER, POINTER, FUNCTION, "ctypes.c_size_t", "something_new"),
        declare("made_up", POINTER),
    ],
)
def test_any_other_shape_is_refused_by_name(text: bytes) -> None:
    with pytest.raises(Error, match=r"made_up is .*, pyruntime knows PPN\?>P; .*pip install wasmtime=="):
        check_shapes(text)
