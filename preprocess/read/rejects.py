"""Lines that do not become impressions: the reasons, and the files that list them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from preprocess.read.row_files import ChunkId
from preprocess.work.folder import write_text

MAX_TEXT = 500
"""Characters of a rejected line that are kept; enough to recognise it, bounded whatever the line is."""
_MAX_VALUE = 80


class Reason(StrEnum):
    """Why a line of a raw log was rejected."""

    BAD_UTF8 = "bad_utf8"
    """The line is not UTF-8 text."""
    BAD_ENCODING = "bad_encoding"
    """The line is not text of ``source.encoding``."""
    WRONG_COLUMNS = "wrong_columns"
    """The line has not the number of columns of its file (an empty line has none)."""
    BAD_JSON = "bad_json"
    """The line is no JSON object; or, with its column, a member that is one value holds a list or an object."""
    BAD_SAMPLE_ID = "bad_sample_id"
    """The sample id is not a whole number from 0 to 2^63 - 1; or, where sample ids are texts, it is empty."""
    BAD_TIME = "bad_time"
    """The column of ``source.split``, of ``source.time`` or of the time of an event log holds no time; or no hour,
    where a field is the hour."""
    NO_JOIN_KEY = "no_join_key"
    """A column of ``source.join`` holds no value."""
    REPEATED_IMPRESSION = "repeated_impression"
    """An earlier impression has the same values of ``source.join`` (or, joined by time, the same name)."""
    EVENT_WITHOUT_IMPRESSION = "event_without_impression"
    """No impression has the values of ``source.join`` that the event has."""
    EVENT_WITHOUT_LABEL_BEFORE = "event_without_label_before"
    """None of its impressions has an event of the label that this one comes after."""
    EVENT_BEFORE_IMPRESSION = "event_before_impression"
    """All of its impressions, or their events of the label before, are later than the event."""
    EVENT_BEYOND_WINDOW = "event_beyond_window"
    """The event is later than the attribution window of all impressions before it."""
    REPEATED_EVENT = "repeated_event"
    """An earlier event of the label has the impressions that the event would have."""
    BAD_LABEL = "bad_label"
    """A label is neither 0 nor 1 (a flat log may also say true or false, and what ``source.label_values`` lists)."""
    BAD_FEATURE_COUNT = "bad_feature_count"
    """feature_num is not a whole number, or not the number of features in the list."""
    BAD_FEATURE = "bad_feature"
    """A feature does not have the form ``field\\x02id\\x03value`` (flat log: ``id:weight``)."""
    NON_NUMERIC_ID = "non_numeric_id"
    """A feature id is not a whole number from 0 to 2^63 - 1."""
    NON_NUMERIC_VALUE = "non_numeric_value"
    """A feature's value, or the impression's weight, is not a decimal number."""
    NOT_FINITE_VALUE = "not_finite_value"
    """A feature's value, or the impression's weight, is NaN, infinite, or beyond float32."""
    NEGATIVE_VALUE = "negative_value"
    """A feature's value, which is a weight, or the impression's weight, is below 0."""
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
    column: str = ""
    """Column of a flat log that is the reason. Empty: the line as a whole is, or the form has no named columns."""
    value: str = ""
    """The beginning of what that column holds."""


def reject(line: int, reason: Reason, raw: bytes, column: str = "", value: str = "") -> Reject:
    """Make the reject of a raw line; at most ``MAX_TEXT`` characters of it are kept."""
    text = raw[: 4 * MAX_TEXT].decode("utf-8", "backslashreplace")[:MAX_TEXT]
    return Reject(line=line, reason=reason, text=text, column=column, value=value[:_MAX_VALUE])


def reject_line(file: str, line: int, found: Reject) -> str:
    """Return one line of ``rejects/{split}.jsonl``; ``line`` is 1-based within ``file``."""
    where = {"column": found.column, "value": found.value} if found.column else {}
    entry = {"file": file, "line": line, "reason": found.reason, **where, "text": found.text}
    return json.dumps(entry, ensure_ascii=False) + "\n"


def reject_place(file: str, line: int, found: Reject) -> str:
    """Say where a rejected line stands and, if one column is the reason, what that holds; ``line`` is 1-based."""
    value = f", column '{found.column}' is '{found.value}'" if found.column else ""
    return f"{file} line {line:,}{value}"


def count_reasons(rejects: Sequence[Reject]) -> dict[str, int]:
    """Count rejects by reason, reasons sorted."""
    reasons = sorted({str(r.reason) for r in rejects})
    return {reason: sum(r.reason == reason for r in rejects) for reason in reasons}


def write_rejects(work: Path, kind: str, chunk: ChunkId, rejects: Sequence[Reject]) -> None:
    """Write the rejects of a chunk as JSON lines, in line order; a chunk without any has no file."""
    if rejects:
        lines = (json.dumps([r.line, r.reason, r.text, r.column, r.value]) + "\n" for r in rejects)
        write_text(_rejects_path(work, kind, chunk), "".join(lines))


def read_rejects(work: Path, kind: str, chunk: ChunkId) -> list[Reject]:
    """Read what ``write_rejects`` wrote."""
    path = _rejects_path(work, kind, chunk)
    if not path.is_file():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Reject(line=line, reason=Reason(reason), text=quoted, column=column, value=value)
        for line, reason, quoted, column, value in rows
    ]


def _rejects_path(work: Path, kind: str, chunk: ChunkId) -> Path:
    return work / "chunks" / f"{chunk.name(kind)}.rejects"
