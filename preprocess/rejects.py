"""Lines that do not become impressions: the reasons, and the files that list them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

MAX_TEXT = 500
"""Characters of a rejected line that are kept; enough to recognise it, bounded whatever the line is."""


class Reason(StrEnum):
    """Why a line of a raw log was rejected."""

    BAD_UTF8 = "bad_utf8"
    """The line is not UTF-8 text."""
    WRONG_COLUMNS = "wrong_columns"
    """The line has not the number of columns of its file (an empty line has none)."""
    BAD_SAMPLE_ID = "bad_sample_id"
    """The sample id is not a whole number from 0 to 2^63 - 1."""
    BAD_LABEL = "bad_label"
    """A label is neither 0 nor 1 (a flat log may also say true or false)."""
    BAD_FEATURE_COUNT = "bad_feature_count"
    """feature_num is not a whole number, or not the number of features in the list."""
    BAD_FEATURE = "bad_feature"
    """A feature does not have the form ``field\\x02id\\x03value`` (flat log: ``id:weight``)."""
    NON_NUMERIC_ID = "non_numeric_id"
    """A feature id is not a whole number from 0 to 2^63 - 1."""
    NON_NUMERIC_VALUE = "non_numeric_value"
    """A feature's value is not a decimal number."""
    NOT_FINITE_VALUE = "not_finite_value"
    """A feature's value is NaN, infinite, or beyond float32."""
    NEGATIVE_VALUE = "negative_value"
    """A feature's value, which is a weight, is below 0."""
    SEVERAL_IDS = "several_ids_in_one_hot_field"
    """A field that the schema calls one-hot holds two ids or more."""
    REPEATED_SAMPLE_ID = "repeated_sample_id"
    """An earlier line of the split has the same sample id; the first is kept."""
    REPEATED_COMMON_ROW = "repeated_common_row"
    """An earlier common line of the split has the same common_feature_index; the first is kept."""


@dataclass(frozen=True, kw_only=True)
class Reject:
    """One rejected line, placed within its chunk."""

    line: int
    """0-based within the chunk."""
    reason: Reason
    text: str
    """The beginning of the line; bytes that are not UTF-8 are written as ``\\xNN``."""


def reject(line: int, reason: Reason, raw: bytes) -> Reject:
    """Make the reject of a raw line; at most ``MAX_TEXT`` characters of it are kept."""
    return Reject(line=line, reason=reason, text=raw[: 4 * MAX_TEXT].decode("utf-8", "backslashreplace")[:MAX_TEXT])


def reject_line(file: str, line: int, reason: str, text: str) -> str:
    """Return one line of ``rejects/{split}.jsonl``; ``line`` is 1-based within ``file``."""
    return json.dumps({"file": file, "line": line, "reason": reason, "text": text}, ensure_ascii=False) + "\n"


def chunk_rejects_text(rejects: Iterable[Reject]) -> str:
    """Return the text of a chunk's file of rejects: JSON lines, in line order."""
    return "".join(json.dumps([r.line, r.reason, r.text]) + "\n" for r in rejects)


def read_chunk_rejects(text: str) -> list[Reject]:
    """Read what ``chunk_rejects_text`` returned."""
    rows = [json.loads(line) for line in text.splitlines()]
    return [Reject(line=line, reason=Reason(reason), text=quoted) for line, reason, quoted in rows]
