"""Which types of columns a flat log may have, and how all the forms of one kind become one.

A value is a scalar that ``esmm_dist.schema.feature_id`` knows. A column of a field may also hold lists of values, and
pairs of id and weight: lists of structs with two members, or maps. Arrow has several layouts for each (views, large and
fixed-size lists, dictionaries, run ends).
"""

from collections.abc import Callable

import pyarrow as pa

from preprocess.read.flat.compute import pc

_SCALARS: tuple[Callable[[pa.DataType], bool], ...] = (
    pa.types.is_null,
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
    pa.types.is_fixed_size_binary,
    pa.types.is_date,
    pa.types.is_time,
    pa.types.is_timestamp,
)
_LISTS: tuple[Callable[[pa.DataType], bool], ...] = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
)


def is_value(data_type: pa.DataType) -> bool:
    """Return whether a column of this type holds one value a row."""
    data_type = _decoded(data_type)
    return isinstance(data_type, pa.UuidType) or any(test(data_type) for test in _SCALARS)


def is_list(data_type: pa.DataType) -> bool:
    """Return whether a column of this type holds a list a row, in whatever layout."""
    return any(test(data_type) for test in _LISTS)


def is_readable(data_type: pa.DataType) -> bool:
    """Return whether a field can read a column of this type: values, pairs, or lists of them."""
    data_type = _decoded(data_type)
    if is_list(data_type):
        return _is_item(_decoded(data_type.value_type))
    if pa.types.is_map(data_type):
        return is_value(data_type.key_type) and is_value(data_type.item_type)
    return _is_item(data_type)


def without_views(data_type: pa.DataType) -> pa.DataType:
    """Return the type with the same values whose texts and bytes are no views, which many of Arrow's functions lack."""
    if pa.types.is_string_view(data_type):
        return pa.string()
    if pa.types.is_binary_view(data_type):
        return pa.binary()
    if is_list(data_type):
        item = without_views(data_type.value_type)
        return data_type if item == data_type.value_type else pa.large_list(item)
    if pa.types.is_struct(data_type):
        return pa.struct([member.with_type(without_views(member.type)) for member in data_type])
    if pa.types.is_map(data_type):
        return pa.map_(without_views(data_type.key_type), without_views(data_type.item_type))
    return data_type


def plain(column: pa.Array) -> pa.Array:
    """Return the same values without dictionary, run ends or extension type (a UUID becomes its text)."""
    if isinstance(column.type, pa.UuidType):
        return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
    if isinstance(column, pa.ExtensionArray):
        return plain(column.storage)
    if pa.types.is_dictionary(column.type):
        # Decoded after its values are plain: not every kind of them can be decoded as it is.
        return plain(column.dictionary).take(column.indices)
    if pa.types.is_run_end_encoded(column.type):
        return plain(pc.run_end_decode(column))
    return column


def _is_item(data_type: pa.DataType) -> bool:
    if pa.types.is_struct(data_type):
        members = [data_type.field(i).type for i in range(data_type.num_fields)]
        return len(members) == 2 and all(map(is_value, members))
    return is_value(data_type)


def _decoded(data_type: pa.DataType) -> pa.DataType:
    if isinstance(data_type, pa.UuidType):
        return data_type
    if isinstance(data_type, pa.BaseExtensionType):
        return _decoded(data_type.storage_type)
    if pa.types.is_dictionary(data_type) or pa.types.is_run_end_encoded(data_type):
        return _decoded(data_type.value_type)
    return data_type
