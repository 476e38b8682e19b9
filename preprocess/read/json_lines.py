r"""Read JSON lines, one object a row, into tables of texts such as the same rows give as CSV.

A number has the text that it has in the file, so that 7, "7" and a cell of CSV that holds 7 are one. Members that no
column reads are skipped; a member that is missing or null is no value. A field may also hold a list of values, and a
weighted one pairs::

    {"user": 7, "tags": ["red", "new"], "interests": {"sport": 2.5, "film": 1}}
                                        or [["sport", 2.5], ["film", 1]], or ["sport:2.5", "film:1"], or
                                           [{"id": "sport", "weight": 2.5}, {"id": "film", "weight": 1}]

Each row is read on its own: neither the rows beside it nor where a chunk ends change its values. Memory holds the rows
of one call.
"""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from esmm_dist.arrays import I64
from esmm_dist.errors import InputDataError, SchemaError
from esmm_dist.near_names import nearest_hint
from preprocess.read.rejects import Reason, Reject, reject

_BOM = b"\xef\xbb\xbf"
_ID, _WEIGHT = "id", "weight"
_PAIRS = pa.list_(pa.struct([(_ID, pa.string()), (_WEIGHT, pa.string())]))
_SHOWN_MEMBERS = 30


@dataclass(frozen=True, kw_only=True)
class JsonList:
    """A column whose rows may hold lists: how the items of one that is a text are told apart."""

    separator: str | None
    """Between the items; None: a text is one item."""
    weight_separator: str | None = None
    """Between an item and its weight; None: items have no weights."""


class _BadValueError(Exception):
    """A value does not fit its column."""


def json_rows(
    lines: Sequence[bytes], first: int, values: Collection[str], lists: Mapping[str, JsonList]
) -> tuple[pa.Table, I64, list[Reject]]:
    r"""Read lines of JSON text.

    Args:
        lines: lines without ``\n``, in UTF-8
        first: number of the first line within its chunk
        values: columns with one value a row
        lists: columns that may hold lists

    Returns:
        The good rows, columns of texts, of lists of texts, or of lists of pairs; the number of each row's line within
        the chunk, int64 [rows]; the rejected lines, ascending.
    """
    forms: dict[str, JsonList | None] = {**dict.fromkeys(values), **lists}
    cells: dict[str, list[Any]] = {name: [] for name in forms}
    numbers: list[int] = []
    rejects: list[Reject] = []
    for number, line in enumerate(lines, first):
        try:
            row = _object(line)
        except UnicodeDecodeError:
            rejects.append(reject(number, Reason.BAD_UTF8, line))
            continue
        except (ValueError, RecursionError):
            rejects.append(reject(number, Reason.BAD_JSON, line))
            continue
        found = []
        for name, form in forms.items():
            value = row.get(name)
            try:
                found.append(_scalar(value) if form is None else _cell(value, form))
            except _BadValueError:
                reason = Reason.BAD_JSON if form is None else Reason.BAD_FEATURE
                shown = json.dumps(value, ensure_ascii=False)
                rejects.append(reject(number, reason, line, name, shown))
                break
        else:
            numbers.append(number)
            for name, value in zip(forms, found, strict=True):
                cells[name].append(value)
    return pa.table({n: _column(cells[n], form) for n, form in forms.items()}), np.array(numbers, np.int64), rejects


def check_json_head(path: Path, head: bytes, read: Mapping[str, str]) -> None:
    """Check that some of the first objects of a file have each member that is read.

    Args:
        path: path of the file
        head: its first lines
        read: columns to read, and what for

    Raises:
        InputDataError: The file holds one JSON list instead of lines.
        SchemaError: All of the objects lack a member.
    """
    if head.removeprefix(_BOM).lstrip()[:1] == b"[":
        raise InputDataError(
            f"{path} begins a JSON list, and is to hold an object a line. Convert it and move the old file away: "
            f"jq -c '.[]' {path.name} > {path.name.removesuffix('.gz').rpartition('.')[0]}.jsonl"
        )
    members: dict[str, None] = {}
    for line in head.split(b"\n"):
        try:
            members |= dict.fromkeys(_object(line))
        except (ValueError, RecursionError):
            continue  # a damaged line, which reading rejects, or the last one, cut off
    for column, what in read.items() if members else ():
        if column not in members:
            names = list(members)
            shown = ", ".join(names[:_SHOWN_MEMBERS]) + (", ..." if len(names) > _SHOWN_MEMBERS else "")
            near = nearest_hint(column, names).partition(" Known:")[0]
            raise SchemaError(
                f"{what} reads member '{column}', which none of the first objects of {path} has.{near} Their members "
                f"({len(names)}): {shown}. Correct the schema; or, where it is rare, write it as null in the first "
                "line."
            )


def _object(line: bytes) -> dict[str, Any]:
    """Return the object that a line holds, its numbers as texts.

    Raises:
        ValueError: It holds none.
    """
    row = json.loads(line.removeprefix(_BOM).decode(), parse_int=str, parse_float=_number, parse_constant=_constant)
    if not isinstance(row, dict):
        raise ValueError("no object")
    if b"\\u" in line:  # half of a pair of surrogates is no text
        json.dumps(row, ensure_ascii=False).encode()
    return row


def _number(text: str) -> str:
    """Return a number's text; one with an exponent is written as Python does, of which ids know the digits."""
    return repr(float(text)) if "e" in text or "E" in text else text


def _constant(text: str) -> str:
    number = float(text)
    return "" if math.isnan(number) else repr(number)


def _scalar(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    raise _BadValueError


def _cell(value: Any, form: JsonList) -> Any:
    """Return the value of a row as the text or the list that it is; of a column with weights, the pairs."""
    if form.weight_separator is not None:
        return None if value is None else _pairs(value, form)
    return [_scalar(item) for item in value] if isinstance(value, list) else _scalar(value)


def _pairs(value: Any, form: JsonList) -> list[dict[str, str | None]]:
    if isinstance(value, dict) and set(value) != {_ID, _WEIGHT}:
        items: list[Any] = list(map(list, value.items()))
    elif isinstance(value, str):
        items = value.split(form.separator) if form.separator is not None else [value]
    else:
        items = value if isinstance(value, list) else [value]
    return [_pair(item, form) for item in items if item not in (None, "")]


def _pair(item: Any, form: JsonList) -> dict[str, str | None]:
    if isinstance(item, dict):
        item = [item.get(_ID), item.get(_WEIGHT)] if set(item) == {_ID, _WEIGHT} else list(item.values())
    elif isinstance(item, str):
        head, found, weight = item.rpartition(form.weight_separator or ":")
        item = [head, weight] if found else []
    if not isinstance(item, list) or len(item) != 2:
        raise _BadValueError
    return {_ID: _scalar(item[0]), _WEIGHT: _scalar(item[1])}


def _column(cells: list[Any], form: JsonList | None) -> pa.Array:
    if form is None:
        return pa.array(cells, pa.string())
    if form.weight_separator is not None:
        return pa.array(cells, _PAIRS)
    if not any(isinstance(cell, list) for cell in cells):
        return pa.array(cells, pa.string())
    lists = (_split(cell, form.separator) if isinstance(cell, str) else cell for cell in cells)
    return pa.array(list(lists), pa.list_(pa.string()))


def _split(text: str, separator: str | None) -> list[str]:
    return [text] if separator is None else text.split(separator)
