"""WasmEdge: WASI preview 1 command modules, interpreted or compiled by LLVM, through libwasmedge's C API.

Its sockets are part of its WASI (`sock_open` and what follows), so every guest has them; what they reach is decided by
the container's network namespace. Objects of the library are not freed: the process ends with the module.
"""

import posix as os

from pyruntime.engine import base
from pyruntime.engine.binary import pages, without_custom
from pyruntime.engine.cdata import cell, strings
from pyruntime.engine.faults import FaultHandlers
from pyruntime.engine.find import cpu
from pyruntime.engine.native import Library, Text, identity, seek_library, text, text_at, text_of
from pyruntime.engine.proposals import supported
from pyruntime.engine.refuse import (
    absent,
    require_directory,
    require_imports,
    require_memory,
    require_no_network,
    require_room,
    with_parameters,
)
from pyruntime.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyruntime.engine.base import Abilities, Guest, Limits
    from pyruntime.engine.select import Selection

# In the order of preference; the name without a version comes with the headers.
_NAMES = ("libwasmedge.so.0", "libwasmedge.so")
_ADVICE = "install it: apt install libwasmedge0 (Debian 13, Ubuntu 25.04), dnf install wasmedge-rt (Fedora)"
OLDEST = (0, 14)  # the first with 16 bytes of value type, as Debian 13 has it

SHAPES = {
    "WasmEdge_VersionGet": ">P",
    "WasmEdge_VersionGetMajor": ">I",
    "WasmEdge_VersionGetMinor": ">I",
    "WasmEdge_LogOff": ">",
    "WasmEdge_ResultGetMessage": "I>P",
    "WasmEdge_ConfigureCreate": ">P",
    "WasmEdge_ConfigureSetMaxMemoryPage": "PI>",
    "WasmEdge_ConfigureStatisticsSetCostMeasuring": "P?>",
    "WasmEdge_ConfigureCompilerSetOutputFormat": "PI>",
    "WasmEdge_CompilerCreate": "P>P",
    "WasmEdge_CompilerCompileFromBuffer": "PPQP>I",
    "WasmEdge_LoaderCreate": "P>P",
    "WasmEdge_LoaderParseFromBuffer": "PPPI>I",
    "WasmEdge_LoaderParseFromFile": "PPP>I",
    "WasmEdge_ValidatorCreate": "P>P",
    "WasmEdge_ValidatorValidate": "PP>I",
    "WasmEdge_ASTModuleListImportsLength": "P>I",
    "WasmEdge_ASTModuleListImports": "PPI>I",
    "WasmEdge_ASTModuleListExportsLength": "P>I",
    "WasmEdge_ASTModuleListExports": "PPI>I",
    "WasmEdge_ImportTypeGetModuleName": "P>T",
    "WasmEdge_ImportTypeGetExternalName": "P>T",
    "WasmEdge_ExportTypeGetExternalName": "P>T",
    "WasmEdge_ExportTypeGetFunctionType": "PP>P",
    "WasmEdge_FunctionTypeGetParametersLength": "P>I",
    "WasmEdge_FunctionTypeGetReturnsLength": "P>I",
    "WasmEdge_StatisticsCreate": ">P",
    "WasmEdge_StatisticsSetCostLimit": "PQ>",
    "WasmEdge_ExecutorCreate": "PP>P",
    "WasmEdge_ExecutorRegisterImport": "PPP>I",
    "WasmEdge_ExecutorInstantiate": "PPPP>I",
    "WasmEdge_ExecutorInvoke": "PPPIPI>I",
    "WasmEdge_StoreCreate": ">P",
    "WasmEdge_ModuleInstanceCreateWASI": "PIPIPI>P",
    "WasmEdge_ModuleInstanceInitWASI": "PPIPIPI>",
    "WasmEdge_ModuleInstanceWASIGetExitCode": "P>I",
    "WasmEdge_ModuleInstanceFindFunction": "PT>P",
    "WasmEdge_ModuleInstanceListFunctionLength": "P>I",
    "WasmEdge_ModuleInstanceListFunction": "PPI>I",
}

_UNIVERSAL = 1  # WasmEdge_CompilerOutputFormat_Wasm: the module with a section of native code
_SECTION = b"wasmedge"
_RESULT = "module.wasm"  # in the working directory of the compiler's process, which is empty
_WASI = "wasi_snapshot_preview1"
_TERMINATED, _OUT_OF_FUEL = 0x01, 0x03  # WasmEdge_ErrCode
_CODE = 0xFFFFFF  # of a WasmEdge_Result: the rest is its category
_EXECUTION = 4  # the codes' second byte while a guest runs
_ROOM = 12 << 30  # of address space, which every memory reserves
_VALUE = 4  # pointers' width of a WasmEdge_Value


class WasmEdge:
    """The WasmEdge engine."""

    name = "wasmedge"
    kinds: "tuple[str, ...]" = ("wasm-module",)
    limits: "tuple[str, ...]" = ("memory", "fuel", "seconds")
    writes_files = True

    def __init__(self) -> None:
        self._library: "Library | None" = None
        self._path = ""

    def probe(self) -> str:
        """See base.Engine."""
        return text_at(self._load().WasmEdge_VersionGet())

    def abilities(self) -> "Abilities":
        """See base.Engine."""
        library = self._load()
        proposals = supported(lambda wasm: _valid(library, wasm))
        return base.Abilities(self.kinds, ("0.1",), proposals, self.limits, artefacts=True)

    def cache_key(self, limits: "Limits") -> str:
        """See base.Engine."""
        cost = "" if limits.fuel is None else "cost "
        return f"{identity(self._find())} {cost}{cpu()}"

    def compile(self, wasm: bytes, limits: "Limits") -> bytes:
        """See base.Engine. Native code that the module brings along is left out: it would run without any limit."""
        library = self._load()
        config = _configuration(library, limits)
        library.WasmEdge_ConfigureCompilerSetOutputFormat(config, _UNIVERSAL)
        binary = without_custom(wasm, _SECTION)
        _parsed(library, config, binary)
        compiler = library.WasmEdge_CompilerCreate(config)
        result = library.WasmEdge_CompilerCompileFromBuffer(compiler, binary, len(binary), _RESULT.encode())
        _check(library, result, "the module cannot be compiled")
        return _read(_RESULT)

    def load(self, artefact: "str | bytes", selection: "Selection", limits: "Limits") -> "WasmEdgeModule":
        """See base.Engine."""
        require_room(self.name, _ROOM, limits.address_space)
        module = WasmEdgeModule(self._load(), artefact, selection.function, limits)
        require_memory(selection.wasm, limits.memory)
        return module

    def _find(self) -> str:
        self._path = self._path or seek_library(self.name, _NAMES, _ADVICE)
        return self._path

    def _load(self) -> Library:
        if self._library is None:
            path = self._find()
            library = Library(self.name, path, SHAPES)
            if _version(library) < OLDEST:
                found = text_at(library.WasmEdge_VersionGet())
                raise Error(f"engine {self.name}: {path} is version {found}, whose functions differ; install 0.14")
            library.WasmEdge_LogOff()  # its log lines would go to the container's stdout and stderr
            self._library = library
        return self._library


def _version(library: Library) -> "tuple[int, int]":
    return library.WasmEdge_VersionGetMajor(), library.WasmEdge_VersionGetMinor()


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return b"".join(iter(lambda: os.read(fd, 1 << 20), b""))
    finally:
        os.close(fd)


def _configuration(library: Library, limits: "Limits") -> "Any":
    config = library.WasmEdge_ConfigureCreate()
    library.WasmEdge_ConfigureStatisticsSetCostMeasuring(config, limits.fuel is not None)
    if limits.memory is not None:
        library.WasmEdge_ConfigureSetMaxMemoryPage(config, pages(limits.memory))
    return config


def _parsed(library: Library, config: int, artefact: "str | bytes") -> int:
    """A valid module, as a WasmEdge_ASTModuleContext."""
    loader, module = library.WasmEdge_LoaderCreate(config), cell()
    if isinstance(artefact, str):
        path = artefact.encode("utf-8", "surrogateescape")
        result = library.WasmEdge_LoaderParseFromFile(loader, module, path)
    else:
        result = library.WasmEdge_LoaderParseFromBuffer(loader, module, artefact, len(artefact))
    _check(library, result, "not a valid Wasm module")
    validator = library.WasmEdge_ValidatorCreate(config)
    _check(library, library.WasmEdge_ValidatorValidate(validator, module[0]), "not a valid Wasm module")
    return int(module[0])


def _valid(library: Library, wasm: bytes) -> bool:
    try:
        return bool(_parsed(library, library.WasmEdge_ConfigureCreate(), wasm))
    except Error:
        return False


def _check(library: Library, result: int, what: str) -> None:
    if result & _CODE:
        raise Error(f"{what}: {text_at(library.WasmEdge_ResultGetMessage(result))}")


class WasmEdgeModule:
    """A valid module whose imports are all there; see base.Module."""

    engine = "wasmedge"

    def __init__(self, library: Library, artefact: "str | bytes", function: str, limits: "Limits") -> None:
        self._library = library
        self._artefact = artefact  # kept: the library may hold its address only
        self._config = _configuration(library, limits)
        self._module = _parsed(library, self._config, artefact)
        self._wasi = library.WasmEdge_ModuleInstanceCreateWASI(None, 0, None, 0, None, 0)
        self._require_imports()
        self._results = self._signature(function)
        self._faults = FaultHandlers()

    def _require_imports(self) -> None:
        library = self._library
        count = library.WasmEdge_ModuleInstanceListFunctionLength(self._wasi)
        names = (Text * count)()
        library.WasmEdge_ModuleInstanceListFunction(self._wasi, names, count)
        known = {(_WASI, text_of(name)) for name in names}
        pairs = [self._import(item) for item in self._list("Imports")]
        require_imports("WasmEdge", pairs, known, (_WASI,))

    def _import(self, item: int) -> "tuple[str, str]":
        library = self._library
        module = library.WasmEdge_ImportTypeGetModuleName(item)
        return text_of(module), text_of(library.WasmEdge_ImportTypeGetExternalName(item))

    def _list(self, what: str) -> "list[int]":
        count = getattr(self._library, f"WasmEdge_ASTModuleList{what}Length")(self._module)
        found = cell(count)
        getattr(self._library, f"WasmEdge_ASTModuleList{what}")(self._module, found, count)
        return list(found)

    def _signature(self, function: str) -> int:
        """How many results the function has. Raises Error unless it is exported and takes nothing."""
        library, functions = self._library, {}
        for item in self._list("Exports"):
            shape = library.WasmEdge_ExportTypeGetFunctionType(self._module, item)
            if shape:
                functions[text_of(library.WasmEdge_ExportTypeGetExternalName(item))] = shape
        if function not in functions:
            raise Error(absent(function, list(functions)))
        takes = library.WasmEdge_FunctionTypeGetParametersLength(functions[function])
        if takes:
            raise Error(with_parameters(function, takes))
        return int(library.WasmEdge_FunctionTypeGetReturnsLength(functions[function]))

    def start(self, guest: "Guest") -> int:
        """See base.Module."""
        require_no_network("WasmEdge", guest.network)
        library, instance = self._library, cell()
        self._faults.restore()
        self._set_up(guest)
        executor = self._executor(guest.limits.fuel)
        store = library.WasmEdge_StoreCreate()
        result = library.WasmEdge_ExecutorRegisterImport(executor, store, self._wasi)
        _check(library, result, "WASI cannot be set up")
        result = library.WasmEdge_ExecutorInstantiate(executor, instance, store, self._module)
        if not self._ended(result):
            function = library.WasmEdge_ModuleInstanceFindFunction(instance[0], text(guest.function))
            results = cell(_VALUE * self._results)
            self._ended(library.WasmEdge_ExecutorInvoke(executor, function, None, 0, results, self._results))
        return int(library.WasmEdge_ModuleInstanceWASIGetExitCode(self._wasi))

    def _executor(self, fuel: "int | None") -> int:
        library = self._library
        statistics = library.WasmEdge_StatisticsCreate()
        executor = library.WasmEdge_ExecutorCreate(self._config, statistics)
        if fuel is not None:  # not before the executor is made, which puts in a limit of its own
            library.WasmEdge_StatisticsSetCostLimit(statistics, fuel)
        return int(executor)

    def _set_up(self, guest: "Guest") -> None:
        preopens = [_preopen(*preopen) for preopen in guest.preopens]
        lists = [strings(texts) for texts in (guest.argv, guest.env, preopens)]
        (argv, env, directories), library = lists, self._library
        counts = [len(guest.argv), len(guest.env), len(preopens)]
        library.WasmEdge_ModuleInstanceInitWASI(self._wasi, argv, counts[0], env, counts[1], directories, counts[2])

    def _ended(self, result: int) -> bool:
        """Whether a call ended by proc_exit. Raises TrapError for a trap, Error for anything else but success."""
        code = result & _CODE
        if code == _OUT_OF_FUEL:
            raise base.TrapError("out of fuel")
        if code >> 8 == _EXECUTION:
            raise base.TrapError(text_at(self._library.WasmEdge_ResultGetMessage(result)))
        if code != _TERMINATED:
            _check(self._library, result, "the module cannot be started")
        return bool(code)


def _preopen(place: str, name: str, read_only: bool) -> str:
    """What WasmEdge parses: the guest's name, the directory. Raises Error for what it would get wrong, or skip."""
    if ":" in place + name:
        raise Error(f"{place}: WasmEdge opens no directory with a colon in its name for a guest")
    require_directory("WasmEdge", place, name, read_only)
    return f"{name}:{place}"
