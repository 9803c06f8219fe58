"""What a component imports and exports, by name."""

from pyruntime.engine.base import shown
from pyruntime.engine.cdata import address, cell
from pyruntime.engine.wasi.binding import FUNCTION, INSTANCE, ITEM_WORDS
from pyruntime.engine.wasi.values import named
from pyruntime.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyruntime.engine.binding import Library

    Members = dict[str, tuple[int, int]]

RUN, HANDLER = "wasi:cli/run", "wasi:http/incoming-handler"
PACKAGES = (
    "wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:http/", "wasi:io/", "wasi:random/", "wasi:sockets/",
)  # fmt: skip
LEVEL = "0.2."  # of WASI, all releases of which fit each other


class Function:
    """A function's type: how many parameters it takes, and whether (1) or not (0) it returns something."""

    __slots__ = ("parameters", "returns")

    def __init__(self, library: "Library", of: int) -> None:
        self.parameters = library.wasmtime_component_func_type_param_count(of)
        self.returns = int(library.wasmtime_component_func_type_result(of, cell(2)))


class World:
    """`imports` and `exports` of a component: what each instance holds, as {instance: {name: (kind, type)}}.

    What is no instance is itself among the members of the instance "".
    """

    def __init__(self, library: "Library", engine: int, component: int) -> None:
        """Read the types of a wasmtime_component_t."""
        self._library = library
        self._engine = engine
        of = library.wasmtime_component_type(component)
        count, nth = library.wasmtime_component_type_import_count, library.wasmtime_component_type_import_nth
        self.imports = self._instances(self._items(of, count, nth))
        count, nth = library.wasmtime_component_type_export_count, library.wasmtime_component_type_export_nth
        self.exports = self._instances(self._items(of, count, nth))

    def _instances(self, items: "Members") -> "dict[str, Members]":
        count = self._library.wasmtime_component_instance_type_export_count
        nth = self._library.wasmtime_component_instance_type_export_nth
        found = {name: self._items(of, count, nth) for name, (kind, of) in items.items() if kind == INSTANCE}
        alone = {name: item for name, item in items.items() if item[0] != INSTANCE}
        return {**found, "": alone} if alone else found

    def _items(self, of: int, count: "Any", nth: "Any") -> "Members":
        """The kind and type of each item. They are not freed, little as they are."""
        items = {}
        for index in range(count(of, self._engine)):
            name, extern, item = cell(2), cell(), cell(ITEM_WORDS)
            nth(of, self._engine, index, address(name), address(name) + 8, extern)
            self._library.wasmtime_component_extern_type(extern[0], item)
            items[named(name)] = ((item[0] or 0) & 0xFF, item[1] or 0)
        return items

    def imported(self) -> "list[str]":
        """The names of all imports."""
        return [name for name in self.imports if name] + list(self.imports.get("", {}))

    def exported(self, interface: str) -> str:
        """The full name of an exported interface of WASI 0.2, "" without one."""
        return next((name for name in self.exports if name.startswith(f"{interface}@{LEVEL}")), "")

    def function(self, instance: str, name: str) -> Function:
        """The type of an exported function; `instance` "" for one of the component itself. Raises Error."""
        members = self.exports.get(instance, {})
        kind, of = members.get(name, (-1, 0))
        if kind != FUNCTION:
            functions = [f"{place}#{member}".lstrip("#") for place, member in self._functions()[:8]]
            asked = f"{instance}#{name}".lstrip("#")
            raise Error(f"it exports no function {asked}, but {', '.join(map(shown, functions)) or 'none'}")
        return Function(self._library, of)

    def _functions(self) -> "list[tuple[str, str]]":
        return [
            (instance, name)
            for instance, members in self.exports.items()
            for name, (kind, _) in members.items()
            if kind == FUNCTION
        ]


def refuse_imports(names: "list[str]") -> None:
    """Raise Error for the first import that no engine of this level provides, by its name."""
    for name in names:
        interface, _, version = name.partition("@")
        if not interface.startswith(PACKAGES):
            raise Error(f"the component imports {shown(name)}, which nobody provides")
        if not version.startswith(LEVEL):
            raise Error(f"the component imports {shown(name)}, and there is WASI 0.2 only; build it for wasm32-wasip2")
