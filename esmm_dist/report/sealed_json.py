"""JSON files with a checksum: numbers that were changed on the disk or by hand are never drawn."""

import json
from collections.abc import Mapping
from typing import Any

import google_crc32c

_SEAL = "crc32c"


def sealed_json(values: Mapping[str, Any], *, indent: int | None = None) -> bytes:
    """Return a JSON object with the checksum of its values.

    Args:
        values: plain values
        indent: as in ``json.dumps``
    """
    return (json.dumps({**values, _SEAL: _checksum(values)}, indent=indent) + "\n").encode()


def unsealed_json(data: bytes) -> dict[str, Any]:
    """Return the values that ``sealed_json`` was given.

    Raises:
        ValueError: It is no JSON object, or its checksum is another.
    """
    try:
        values = json.loads(data)
    except RecursionError as e:
        raise ValueError("it is nested too deeply") from e
    if not isinstance(values, dict):
        raise ValueError("it is not a JSON object")
    seal = values.pop(_SEAL, None)
    if seal != _checksum(values):
        raise ValueError("its checksum does not fit")
    return values


def _checksum(values: Mapping[str, Any]) -> int:
    return int(google_crc32c.value(json.dumps(values, sort_keys=True).encode()))
