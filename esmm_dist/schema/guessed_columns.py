"""What a schema of a flat log would hold, guessed from some of its rows; every guess is said."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from esmm_dist.errors import SchemaError

_LABEL_WORDS = (
    *("click", "clicked", "clk", "cart", "order", "ordered", "buy", "bought", "purchase", "purchased", "pay", "paid"),
    *("conversion", "converted", "cvr", "like", "liked", "follow", "forward", "comment", "install", "favourite"),
    *("favorite", "share", "view", "play", "collect", "label"),
)
_SAMPLE_ID_NAMES = {"sample_id", "impression_id", "request_id", "row_id", "row", "id", "event_id"}
_TIME_WORDS = {"time", "timestamp", "ts", "datetime", "date", "day"}
_USER_WORDS = {"user", "uid", "member", "customer", "visitor"}
_ITEM_WORDS = {"item", "product", "video", "ad", "article", "sku", "goods", "movie", "iid", "vid"}
_TEST_SHARE = 0.2
_QUANTILES = "quantile 32"


@dataclass(frozen=True, kw_only=True)
class ColumnGuess:
    """What a column is taken for, and why."""

    column: str
    role: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class GuessedColumns:
    """What a schema file would hold, and why."""

    mapping: dict[str, Any]
    columns: tuple[ColumnGuess, ...]
    split: str
    """How the test split is cut out, and why."""


def guess_columns(table: pa.Table, labels: Sequence[str] = (), name: str = "guessed") -> GuessedColumns:
    """Guess a schema from some rows of a flat log.

    Args:
        table: R rows, a few thousand or more: whom a column belongs to is told from its values
        labels: columns of the labels in the order of the funnel; empty: columns of 0 and 1 that are named as labels
            are, the more positives the earlier
        name: name of the schema

    Raises:
        SchemaError: The table has no rows, a named label is no column of 0 and 1, or fewer than two labels are found.
    """
    if not table.num_rows:
        raise SchemaError("The table has no rows, and a schema is guessed from values. Give some thousand rows.")
    guesses: dict[str, ColumnGuess] = {}

    def note(column: str, role: str, reason: str) -> None:
        guesses[column] = ColumnGuess(column=column, role=role, reason=reason)

    found = _labels(table, labels)
    for place, column in enumerate(found):
        positives = _positives(table[column])
        why = "named by you" if labels else "0 and 1, and named as a label is"
        note(column, f"label {place + 1}", f"{why}; {positives:,} positives")
    sample_id = next((c for c in table.column_names if _is_sample_id(table, c, found)), None)
    if sample_id is not None:
        note(sample_id, "sample id", "another value in each row")
    time = next((c for c in table.column_names if c not in guesses and _is_time(table, c)), None)
    if time is not None:
        note(time, "time", "named as a time, or of such a type; left out of the model's fields")
    rest = [column for column in table.column_names if column not in guesses]
    user = _key(table, rest, _USER_WORDS)
    item = _key(table, rest, _ITEM_WORDS)
    fields = []
    for column in rest:
        field, role, reason = _field(table, column, user, item)
        note(column, role, reason)
        if field is not None:
            fields.append(field)
    split, said = _split(time, user)
    source: dict[str, Any] = {"form": "flat", "files": {"train": "*.parquet"}, "labels": {c: c for c in found}}
    source |= {"sample_id": sample_id} if sample_id is not None else {}
    source |= {"split": split} if split is not None else {}
    mapping = {"name": name, "labels": found, "after": _after(table, found), "source": source, "fields": fields}
    columns = tuple(guesses[column] for column in table.column_names)
    return GuessedColumns(mapping=mapping, columns=columns, split=said)


def _labels(table: pa.Table, named: Sequence[str]) -> list[str]:
    for column in named:
        if column not in table.column_names:
            raise SchemaError(f"labels names column '{column}', which the table lacks. It has {table.column_names}.")
        if not _is_binary(table[column]):
            raise SchemaError(f"labels names column '{column}', whose values are not 0 and 1. Name such a column.")
    words = set(_LABEL_WORDS)
    found = list(named) or sorted(
        (c for c in table.column_names if _words(c) & words and _is_binary(table[c])),
        key=lambda column: -_positives(table[column]),
    )
    if len(found) < 2:
        raise SchemaError(
            f"The table shows {len(found)} label{'s' * (len(found) != 1)} ({', '.join(found) or 'none'}), and two or "
            'more are needed. Name their columns in the order of the funnel: labels=["click", "buy"].'
        )
    return found


def _after(table: pa.Table, labels: Sequence[str]) -> dict[str, str]:
    """Return the label before each one that does not follow the one listed before it, where values say so."""
    after = {}
    for place, column in enumerate(labels[2:], start=2):
        own = _truth(table[column])
        parents = [c for c in reversed(labels[:place]) if not pc.any(pc.and_not(own, _truth(table[c]))).as_py()]
        if parents and parents[0] != labels[place - 1]:
            after[column] = parents[0]
        elif not parents:
            after[column] = labels[0]
    return after


def _field(table: pa.Table, column: str, user: str | None, item: str | None) -> tuple[dict[str, Any] | None, str, str]:
    """Return a field's settings, its role and the reason; no settings for a column that cannot be one."""
    type_ = table.schema.field(column).type
    owner, reason = _owner(table, column, user, item)
    field: dict[str, Any] = {"name": column, "owner": owner}
    if _is_list(type_):
        return {**field, "multi_hot": True, "combiner": "mean"}, f"{owner}, list", f"{reason}; holds lists"
    if pa.types.is_nested(type_) or pa.types.is_binary(type_) or pa.types.is_null(type_):
        return None, "left out", f"no field can be made of {type_}"
    if _has_decimals(table[column]):
        numeric = {**field, "numeric": {"buckets": _QUANTILES}}
        return numeric, f"{owner}, number", f"{reason}; has decimals, so in {_QUANTILES.split()[1]} buckets"
    whole = "whole numbers, some missing: " if pa.types.is_floating(type_) else ""
    return field, f"{owner}, category", f"{reason}; {whole}each value is a category"


def _owner(table: pa.Table, column: str, user: str | None, item: str | None) -> tuple[str, str]:
    for owner, key in (("user", user), ("item", item)):
        if column == key:
            return owner, f"named as the id of {owner}s is"
    for owner, key in (("user", user), ("item", item)):
        if key is not None and _depends_on(table, column, key):
            return owner, f"each {key} has one value"
    keys = [key for key in (user, item) if key is not None]
    return "context", f"one {' or '.join(keys)} has several values" if keys else "no column names users or items"


def _depends_on(table: pa.Table, column: str, key: str) -> bool:
    """Return whether each value of a column of keys comes with one value of another column, and some come often."""
    type_ = table.schema.field(column).type
    if pa.types.is_nested(type_):
        values = pa.array([repr(value) for value in table[column].to_pylist()])
    else:
        values = table[column].combine_chunks()
    pairs = pa.table({"key": table[key].combine_chunks(), "value": values})
    keys = pairs.group_by("key").aggregate([]).num_rows
    return bool(keys < table.num_rows and pairs.group_by(["key", "value"]).aggregate([]).num_rows == keys)


def _key(table: pa.Table, columns: Sequence[str], words: set[str]) -> str | None:
    """Return the column of users or of items: named so, and of those the one with the most values."""
    named = [c for c in columns if _words(c) & words and not pa.types.is_nested(table.schema.field(c).type)]
    named = [c for c in named if not _has_decimals(table[c])]
    ids = [c for c in named if "id" in _words(c) or _words(c) <= words] or named
    return max(ids, key=lambda column: pc.count_distinct(table[column]).as_py(), default=None)


def _split(time: str | None, user: str | None) -> tuple[dict[str, Any] | None, str]:
    share = f"{_TEST_SHARE:.0%}"
    if time is not None:
        split = {"test_share": _TEST_SHARE, "by": "time", "time": time}
        return split, f"the last {share} of the impressions by {time} are the test split"
    if user is not None:
        return {"test_share": _TEST_SHARE, "by": user}, f"{share} of the values of {user} are the test split"
    return None, "none: no column of times or users; without a test split nothing is evaluated"


def _is_sample_id(table: pa.Table, column: str, labels: Sequence[str]) -> bool:
    type_ = table.schema.field(column).type
    if column in labels or column.lower() not in _SAMPLE_ID_NAMES:
        return False
    if not (pa.types.is_integer(type_) or _is_text(type_)):
        return False
    return bool(table[column].null_count == 0 and pc.count_distinct(table[column]).as_py() == table.num_rows)


def _is_time(table: pa.Table, column: str) -> bool:
    type_ = table.schema.field(column).type
    if pa.types.is_timestamp(type_) or pa.types.is_date(type_):
        return True
    is_named_so = bool(_words(column) & _TIME_WORDS) or column.lower().endswith("_at")
    return is_named_so and (pa.types.is_integer(type_) or _is_text(type_))


def _is_binary(column: pa.ChunkedArray) -> bool:
    if pa.types.is_boolean(column.type):
        return bool(column.null_count == 0)
    if not pa.types.is_integer(column.type) and not pa.types.is_floating(column.type):
        return False
    return bool(column.null_count == 0) and set(pc.unique(column).to_pylist()) <= {0, 1}


def _has_decimals(column: pa.ChunkedArray) -> bool:
    """Return whether a column holds numbers that are not whole; pandas has whole ones with gaps as floats."""
    if not pa.types.is_floating(column.type) and not pa.types.is_decimal(column.type):
        return False
    numbers = pc.drop_null(pc.cast(column, pa.float64()))
    return not pc.all(pc.or_(pc.is_nan(numbers), pc.equal(numbers, pc.round(numbers)))).as_py()


def _truth(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column if pa.types.is_boolean(column.type) else pc.equal(column, 1)


def _positives(column: pa.ChunkedArray) -> int:
    return int(pc.sum(_truth(column)).as_py() or 0)


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


def _is_list(type_: pa.DataType) -> bool:
    is_list = pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_)
    return bool(is_list and not pa.types.is_nested(type_.value_type))


def _words(name: str) -> set[str]:
    """Return the words of a column's name: ``userId`` has user and id."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return {word for word in re.split(r"[^a-zA-Z]+", apart.lower()) if word}
