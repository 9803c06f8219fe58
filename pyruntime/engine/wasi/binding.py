"""The part of wasmtime's C API that components take, in the notation of engine/binding.py, and where its data lies.

Checked and bound for components only: modules pay nothing for it.
"""

import _ctypes

from pyruntime.engine.cdata import Int32, Pointer, Size

SHAPES = {
    "wasmtime_config_wasm_component_model_async_set": "P?>",
    "wasmtime_component_new": "PPNP>P",
    "wasmtime_component_serialize": "PP>P",
    "wasmtime_component_deserialize": "PPNP>P",
    "wasmtime_component_deserialize_file": "PPP>P",
    "wasmtime_component_type": "P>P",
    "wasmtime_component_type_import_count": "PP>N",
    "wasmtime_component_type_import_nth": "PPNPPP>?",
    "wasmtime_component_type_export_count": "PP>N",
    "wasmtime_component_type_export_nth": "PPNPPP>?",
    "wasmtime_component_instance_type_export_count": "PP>N",
    "wasmtime_component_instance_type_export_nth": "PPNPPP>?",
    "wasmtime_component_extern_type": "PP>",
    "wasmtime_component_func_type_param_count": "P>N",
    "wasmtime_component_func_type_result": "PP>?",
    "wasmtime_component_list_type_element": "PP>",
    "wasmtime_component_record_type_field_count": "P>N",
    "wasmtime_component_record_type_field_nth": "PNPPP>?",
    "wasmtime_component_tuple_type_types_count": "P>N",
    "wasmtime_component_tuple_type_types_nth": "PNP>?",
    "wasmtime_component_variant_type_case_count": "P>N",
    "wasmtime_component_variant_type_case_nth": "PNPPPP>?",
    "wasmtime_component_option_type_ty": "PP>",
    "wasmtime_component_result_type_ok": "PP>?",
    "wasmtime_component_result_type_err": "PP>?",
    "wasmtime_component_linker_new": "P>P",
    "wasmtime_component_linker_allow_shadowing": "P?>",
    "wasmtime_component_linker_root": "P>P",
    "wasmtime_component_linker_add_wasip2": "P>P",
    "wasmtime_component_linker_add_wasi_http": "P>P",
    "wasmtime_component_linker_define_unknown_imports_as_traps": "PP>P",
    "wasmtime_component_linker_instance_add_instance": "PPNP>P",
    "wasmtime_component_linker_instance_add_func": "PPNPPP>P",
    "wasmtime_component_linker_instance_add_resource": "PPNPPPP>P",
    "wasmtime_component_linker_instance_delete": "P>",
    "wasmtime_component_linker_instantiate": "PPPP>P",
    "wasmtime_component_instance_get_export_index": "PPPPN>P",
    "wasmtime_component_instance_get_func": "PPPP>?",
    "wasmtime_component_export_index_delete": "P>",
    "wasmtime_component_func_call": "PPPNPN>P",
    "wasmtime_component_val_new": "P>P",
    "wasmtime_component_val_delete": "P>",
    "wasmtime_component_vallist_new_uninit": "PN>",
    "wasmtime_component_valrecord_new_uninit": "PN>",
    "wasmtime_component_valtuple_new_uninit": "PN>",
    "wasmtime_component_valflags_new_uninit": "PN>",
    "wasmtime_component_resource_type_new_host": "I>P",
    "wasmtime_component_resource_host_new": "?II>P",
    "wasmtime_component_resource_host_rep": "P>I",
    "wasmtime_component_resource_host_owned": "P>?",
    "wasmtime_component_resource_host_delete": "P>",
    "wasmtime_component_resource_any_to_host": "PPP>P",
    "wasmtime_component_resource_host_to_any": "PPP>P",
    "wasmtime_context_set_wasi_http": "P>",
    "wasi_config_inherit_network": "P>",
    "wasi_config_allow_ip_name_lookup": "P?>",
    "wasm_byte_vec_new": "PNP>",
    "wasmtime_store_delete": "P>",
    "wasmtime_error_new": "P>P",
    "wasmtime_error_wasm_trace": "PP>",
    "wasmtime_error_exit_status": "PP>?",
}

INSTANCE, FUNCTION, RESOURCE = 1, 3, 4  # wasmtime_component_item_kind_t
ITEM_WORDS = 3  # of a wasmtime_component_item_t {kind, union of a pointer and a valtype}
VALUE_SIZE = 32  # bytes of a wasmtime_component_val_t {kind, union}, whose largest member has three words
OF = 8  # where the union lies in it
ENTRY_SIZE = 16 + VALUE_SIZE  # bytes of a wasmtime_component_valrecord_entry_t {name, val}


class Callback(_ctypes.CFuncPtr):
    """(data, context, type, arguments, their number, results, their number) → an error or None."""

    _flags_ = 1
    _restype_ = Pointer
    _argtypes_ = (Pointer, Pointer, Pointer, Pointer, Size, Pointer, Size)


class Destructor(_ctypes.CFuncPtr):
    """(data, context, representation) → an error or None: the guest dropped a resource of the host."""

    _flags_ = 1
    _restype_ = Pointer
    _argtypes_ = (Pointer, Pointer, Int32)
