"""Read all lines of a chunk of the raw Ali-CCP form at once.

A compiled kernel reads the usual lines, about 500 MB of text a second. Each line that it leaves is read by
``line.parse_line``: that is the grammar, and a property test holds the two against each other.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from esmm_dist.arrays import I32, I64, U8, U64, Bools
from esmm_dist.schema.fields import Field
from preprocess.read.aliccp.line import ALICCP_LABELS, Kind, ParsedLine, context_key, parse_line
from preprocess.read.feature_rows import FeatureEntries, FeatureRows, index_dtype
from preprocess.read.rejects import Reason, Reject, reject

_MORE_NAMES = 1024  # fields that the schema lacks, of one chunk; lines with more of them are read one by one
_BYTES_PER_NAME = 32
_Names = tuple[U8, I64, I32, I64, I64, I32]
_ID_MARK = 2  # stands once in every feature


@dataclass(frozen=True, kw_only=True)
class ParsedRows:
    """R good lines of a chunk, in order, and the rejected ones."""

    lines: I64
    """0-based line within the chunk, int64 [R]."""
    keys: U64
    """User context, uint64 [R]."""
    sample_ids: I64
    """int64 [R]; 0 for common lines."""
    labels: U8
    """0/1 as in the log, uint8 [R, labels]; no columns for common lines."""
    features: FeatureRows
    ignored: Counter[str]
    """Features of fields that the schema does not name, by field."""
    rejects: list[Reject]

    @property
    def num_lines(self) -> int:
        """Lines that were read, good and bad ones."""
        return len(self.lines) + len(self.rejects)


def parse_lines(text: bytes, kind: Kind, fields: Sequence[Field], num_labels: int = ALICCP_LABELS) -> ParsedRows:
    r"""Read a chunk of lines of one kind; same result as ``parse_line`` on each.

    Args:
        text: lines that end in ``\n``; that of the last line may be missing
        kind: which of the two files they come from
        fields: fields to keep, in schema order
        num_labels: label columns of a skeleton line
    """
    if text and not text.endswith(b"\n"):
        text += b"\n"
    usual = _read_usual(text, fields, num_labels if kind == "skeleton" else 0)
    odd = np.flatnonzero(usual.is_odd).tolist()
    if not odd:
        return usual.rows
    lines = {number: text[usual.begins[number] : usual.begins[number + 1] - 1] for number in odd}
    judged = {number: parse_line(line, kind, fields, num_labels) for number, line in lines.items()}
    rejects = [reject(n, found, lines[n]) for n, found in judged.items() if isinstance(found, Reason)]
    read = {number: found for number, found in judged.items() if isinstance(found, ParsedLine)}
    return _with_odd(usual, read, rejects, len(fields))


@dataclass(frozen=True, kw_only=True)
class _UsualLines:
    """What the kernel read of R lines."""

    rows: ParsedRows
    """All R lines; those that are odd hold nothing."""
    is_odd: Bools
    begins: I64
    """Where each line begins in the text: int64 [R + 1]."""


def _read_usual(text: bytes, fields: Sequence[Field], num_labels: int) -> _UsualLines:
    from preprocess.read.aliccp.line_kernel import ODD, TEXT_KEY, line_scratch, read_usual_lines  # loads Numba

    data = np.frombuffer(text, np.uint8)
    begins = np.append(np.zeros(1, np.int64), np.flatnonzero(data == ord(b"\n")) + 1)
    num_lines, most = len(begins) - 1, int(np.count_nonzero(data == _ID_MARK))
    rows = ParsedRows(
        lines=np.arange(num_lines),
        keys=np.zeros(num_lines, np.uint64),
        sample_ids=np.zeros(num_lines, np.int64),
        labels=np.zeros((num_lines, num_labels), np.uint8),
        features=FeatureRows(
            lengths=np.zeros((num_lines, len(fields)), np.int32),
            ids=np.empty(most, np.int64),
            values=np.empty(most, np.float32),
        ),
        ignored=Counter(),
        rejects=[],
    )
    features, names = rows.features, _names(fields)
    kinds, key_bounds = np.zeros(num_lines, np.uint8), np.zeros((num_lines, 2), np.int64)
    kinds[_not_utf8(text, begins)] = ODD
    long_values = np.empty((most, 3), np.int64)
    num_features, num_long = read_usual_lines(
        data,
        begins,
        (names, (_flags(not field.multi_hot for field in fields), _flags(field.weighted for field in fields))),
        (rows.keys, rows.sample_ids, rows.labels, kinds, key_bounds),
        (features.lengths, features.ids, features.values, long_values),
        line_scratch(begins, len(fields)),
    )
    places, *bounds = long_values[:num_long].T
    features.values[places] = [float(text[begin:end]) for begin, end in zip(*bounds, strict=True)]
    with_text = kinds == TEXT_KEY
    rows.keys[with_text] = _hashed([text[begin:end] for begin, end in key_bounds[with_text].tolist()])
    features = FeatureRows(
        lengths=features.lengths, ids=features.ids[:num_features], values=features.values[:num_features]
    )
    rows = replace(rows, features=features, ignored=_ignored(names, len(fields)))
    return _UsualLines(rows=rows, is_odd=kinds == ODD, begins=begins)


def _names(fields: Sequence[Field]) -> _Names:
    """Return the names of the fields with room for more, as the kernel takes them."""
    texts = [field.name.encode() for field in fields]
    most = len(texts) + _MORE_NAMES
    known = b"".join(texts)
    name_bytes = np.zeros(len(known) + _MORE_NAMES * _BYTES_PER_NAME, np.uint8)
    name_bytes[: len(known)] = np.frombuffer(known, np.uint8)
    splits = np.zeros(most + 1, np.int64)
    splits[1 : len(texts) + 1] = np.cumsum([len(text) for text in texts])
    slots = np.full(1 << (2 * most).bit_length(), -1, np.int32)
    counts, followers = np.zeros(most, np.int64), np.zeros(most + 1, np.int32)
    return name_bytes, splits, slots, counts, np.array([len(texts)], np.int64), followers


def _ignored(names: _Names, num_fields: int) -> Counter[str]:
    """Return how many features each field had that is not of the schema."""
    name_bytes, splits, _, counts, *_ = names
    numbers = num_fields + np.flatnonzero(counts[num_fields:])
    return Counter({name_bytes[splits[n] : splits[n + 1]].tobytes().decode(): int(counts[n]) for n in numbers.tolist()})


def _flags(flags: Iterable[bool]) -> U8:
    return np.fromiter(flags, np.uint8)


def _not_utf8(text: bytes, begins: I64) -> list[int]:
    """Return the lines that are not UTF-8."""
    if _is_utf8(text):
        return []
    bounds = list(pairwise(begins.tolist()))
    return [number for number, (begin, end) in enumerate(bounds) if not _is_utf8(text[begin:end])]


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _hashed(texts: list[bytes]) -> U64:
    keys = {text: context_key(text) for text in set(texts)}
    return np.array([keys[text] for text in texts], np.uint64)


def _with_odd(usual: _UsualLines, read: Mapping[int, ParsedLine], rejects: list[Reject], num_fields: int) -> ParsedRows:
    """Put the odd lines that were read into their places, and drop those that are rejected."""
    rows, numbers = usual.rows, list(read)
    rows.keys[numbers] = [context_key(line.key) for line in read.values()]
    rows.sample_ids[numbers] = [line.sample_id for line in read.values()]
    rows.labels[numbers] = np.array([line.labels for line in read.values()]).reshape(len(read), rows.labels.shape[1])
    entries = [(row, *feature) for row, line in enumerate(read.values()) for feature in line.features]
    row, field, ids, values = zip(*entries, strict=True) if entries else ((), (), (), ())
    of_read = FeatureEntries(
        row=np.array(row, np.int64),
        field=np.array(field, index_dtype(num_fields)),
        ids=np.array(ids, np.int64),
        values=np.array(values, np.float64).astype(np.float32),
    ).in_order(np.arange(len(read)), num_fields)
    place = np.arange(len(rows.lines))
    place[numbers] = len(rows.lines) + np.arange(len(read))
    is_good = ~usual.is_odd
    is_good[numbers] = True
    return ParsedRows(
        lines=rows.lines[is_good],
        keys=rows.keys[is_good],
        sample_ids=rows.sample_ids[is_good],
        labels=rows.labels[is_good],
        features=FeatureRows.joined([rows.features, of_read]).take(place[is_good]),
        ignored=sum((line.ignored for line in read.values()), rows.ignored),
        rejects=rejects,
    )
