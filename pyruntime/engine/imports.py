"""Who would have what a module imports and no engine here does: for the text of an error."""

from pyruntime.engine.base import shown

_SUPPLIERS = {
    "env": "are of the host it was made for, or Emscripten's JavaScript: build for wasm32-wasip1",
    "a": "are Emscripten's JavaScript: build with -sSTANDALONE_WASM, or with another toolchain for wasm32-wasip1",
    "gojs": "are Go's JavaScript: build with GOOS=wasip1",
    "go": "are Go's JavaScript: build with GOOS=wasip1",
    "wbg": "are JavaScript by wasm-bindgen: build for wasm32-wasip1",
    "__wbindgen_placeholder__": "are JavaScript by wasm-bindgen: build for wasm32-wasip1",
    "rb-js-abi-host": "are Ruby's JavaScript: take its build without",
    "wasi": "are of wasi-threads, which no engine here has: build without threads",
    "wasix_32v1": "are WASIX, which only Wasmer has: build for wasm32-wasip1",
    "wasix_64v1": "are WASIX, which only Wasmer has: build for wasm32-wasip1",
    "wasi_nn": "are wasi-nn, which no engine here has",
    "wasi_ephemeral_nn": "are wasi-nn, which no engine here has",
}
_TOLD = 4  # modules that an error names


def unresolved(imports: "list[tuple[str, str]]", provided: "tuple[str, ...]") -> str:
    """Name what of (module, name) pairs belongs to none of the modules `provided`, and what to do; "" for nothing."""
    found: "dict[str, list[str]]" = {}
    for module, name in imports:
        if module not in provided:
            found.setdefault(module, []).append(name)
    return "; ".join(_told(module, names) for module, names in list(found.items())[:_TOLD])


def _told(module: str, names: "list[str]") -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"it imports {shown(module)}.{shown(names[0])}{more}, which {_SUPPLIERS.get(module, 'no engine here has')}"
