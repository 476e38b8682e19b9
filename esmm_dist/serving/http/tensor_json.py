"""Tensors in JSON: inputs of a request as lists of elements, each checked by its type as ``json_tensor.cc`` does."""

import base64
import binascii
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson

from esmm_dist.serving.http.signatures import DataType, Signature
from esmm_dist.serving.requests.bad_request import BadRequestError

_MOST_SHOWN = 200
_TYPE_NAMES = {"DT_STRING": "string", "DT_INT64": "int64", "DT_FLOAT": "float", "DT_DOUBLE": "double"}
_JSON_NAMES = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number", type(None): "Null"}
_LARGEST_EXACT = {"DT_FLOAT": 2**24 - 1, "DT_DOUBLE": 2**53 - 1}
_LARGEST = {"DT_FLOAT": float(np.finfo(np.float32).max), "DT_DOUBLE": float(np.finfo(np.float64).max)}


def columns_of(inputs: Any, signature: Signature) -> dict[str, list[Any]]:
    """Return the elements of each input of a request in columns."""
    if not isinstance(inputs, dict) or _is_base64(inputs):
        if len(signature.inputs) > 1:
            raise BadRequestError(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                f"tensorinfo_map. The inputs are {', '.join(signature.inputs)}"
            )
        inputs = {next(iter(signature.inputs)): inputs}
    if missing := [name for name in signature.inputs if name not in inputs]:
        raise BadRequestError(f"Missing named input: {missing[0]} in 'inputs' object.")
    return {name: _elements(inputs[name], name, kind) for name, kind in signature.inputs.items()}


def columns_of_rows(instances: Any, signature: Signature) -> dict[str, list[Any]]:
    """Return the elements of each input of a request in rows."""
    if not isinstance(instances, list):
        raise BadRequestError(f"JSON Value: {shown(instances)} Excepting 'instances' to be an list/array")
    if not instances:
        raise BadRequestError("JSON Value: [] No values in 'instances' array")
    names = set(signature.inputs)
    if not isinstance(instances[0], dict) and len(names) > 1:
        raise BadRequestError(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            f"tensorinfo_map. The inputs are {', '.join(signature.inputs)}"
        )
    if not _is_object(instances[0]):
        for number, each in enumerate(instances):
            if _is_object(each):
                raise BadRequestError(f"Expecting value/list but got object at item {number} of input list")
        name, kind = next(iter(signature.inputs.items()))
        return {name: _elements(instances, name, kind)}
    for number, each in enumerate(instances):
        if not _is_object(each):
            raise BadRequestError(f"Expecting object but got list at item {number} of input list")
        if each.keys() != names:
            raise BadRequestError(
                f"Failed to process element: {number} of 'instances' list. JSON object: {shown(each)} keys must be "
                f"equal to: {','.join(sorted(names))}"
            )
    return {name: _elements([each[name] for each in instances], name, kind) for name, kind in signature.inputs.items()}


def _elements(values: Any, name: str, kind: DataType) -> list[Any]:
    """Return the elements of an input, checked by its type."""
    if not isinstance(values, list):
        raise BadRequestError(f"input {name} has no dimension: {shown(values)}. Write a list, also of one element")
    check = _CHECKS[kind]
    return check(values, name)


def _strings(values: list[Any], name: str) -> list[Any]:
    if set(map(type, values)) <= {str}:
        return values
    return [value if type(value) is str else _bytes_of(value, name, number) for number, value in enumerate(values)]


def _bytes_of(value: Any, name: str, number: int) -> bytes:
    if not isinstance(value, dict):
        raise _wrong_type(value, name, number, "DT_STRING")
    if not _is_base64(value):
        raise BadRequestError(
            f"JSON Value: {shown(value)} not formatted correctly for base64 data, in input {name}, element {number}"
        )
    text: str = value["b64"]
    try:
        # Also the alphabet of addresses, and without the padding at the end, as TensorFlow Serving takes it
        plain = text.replace("-", "+").replace("_", "/").rstrip("=")
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as e:
        raise BadRequestError(f"Unable to base64 decode, in input {name}, element {number}: {e}") from e


def _integers(values: list[Any], name: str) -> list[Any]:
    if not set(map(type, values)) <= {int} or (values and not -(2**63) <= min(values) <= max(values) < 2**63):
        for number, value in enumerate(values):
            if type(value) is not int or not -(2**63) <= value < 2**63:
                raise _wrong_type(value, name, number, "DT_INT64")
    return values


def _decimals(kind: DataType) -> Callable[[list[Any], str], list[Any]]:
    exact, largest = _LARGEST_EXACT[kind], _LARGEST[kind]

    def check(values: list[Any], name: str) -> list[Any]:
        for number, value in enumerate(values):
            if type(value) is float:
                lossless = not largest < abs(value) < float("inf")
            elif type(value) is int:
                lossless = abs(value) <= exact
            else:
                raise _wrong_type(value, name, number, kind)
            if not lossless:
                raise BadRequestError(
                    f"Cannot convert JSON value: {value} to {_TYPE_NAMES[kind]} without loss of precision, in input "
                    f"{name}, element {number}"
                )
        return values

    return check


_CHECKS: dict[DataType, Callable[[list[Any], str], list[Any]]] = {
    "DT_STRING": _strings,
    "DT_INT64": _integers,
    "DT_FLOAT": _decimals("DT_FLOAT"),
    "DT_DOUBLE": _decimals("DT_DOUBLE"),
}


def _wrong_type(value: Any, name: str, number: int, kind: DataType) -> BadRequestError:
    if isinstance(value, list):
        return BadRequestError(f"input {name}, element {number} is a list, and the input has one dimension")
    json_name = {True: "True", False: "False"}[value] if isinstance(value, bool) else _JSON_NAMES[type(value)]
    return BadRequestError(
        f"JSON Value: {shown(value)} Type: {json_name} is not of expected type: {_TYPE_NAMES[kind]}, in input {name}, "
        f"element {number}"
    )


def _is_base64(value: dict[str, Any]) -> bool:
    return len(value) == 1 and isinstance(value.get("b64"), str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


def shown(value: Any) -> str:
    """Return a value as JSON, shortened."""
    try:
        text = orjson.dumps(value).decode()
    except TypeError:  # deeper than what orjson writes
        try:
            text = str(value)
        except RecursionError:
            text = "a value of many levels"
    return text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "..."
