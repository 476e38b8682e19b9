"""Read many lines of the raw Ali-CCP form at once.

Lines of one kind are uniform: replacing the separators of the feature lists by commas and line ends makes all features
of a chunk one CSV text with three columns, which Arrow parses at about 200 MB/s (a Python loop does 2). Arrow is more
liberal than the grammar in ``line``, so what it would let pass (hexadecimal numbers, spaces, swapped separators) is
excluded before. Lines that do not fit are found by halving, and ``line`` decides about each: it is the grammar,
and a property test holds the two against each other.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from esmm_dist.arrays import I64, U8, U64, Array, Bools
from esmm_dist.schema.fields import Field
from preprocess.read.aliccp.line import HEAD_COLUMNS, NUM_LABELS, Kind, ParsedLine, context_key, parse_line
from preprocess.read.feature_rows import FeatureEntries, index_dtype
from preprocess.read.rejects import Reason, Reject, reject

_TO_CSV = bytes.maketrans(b"\x01\x02\x03", b"\n,,")
_DELETED = b"0123456789_.\x01\x02\x03\n"  # nothing else left: no sign, exponent, nan, 0x or space anywhere
_SHORT_ID = "^[0-9]{1,18}$"  # surely fits int64; parse_line judges the lines with longer ones
_DECIMAL = r"^-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_SLOW_LINES = 2  # so few lines take the simple way: the fast one costs about 1 ms a call
_SCREENED_LINES = 64  # fewer are halved: a match costs about as much as reading the line in the fast way
_MAX_ODD_SHARE = 0.1  # more odd lines than that are no exceptions, but a log of another style
_LIST = rb"(?:[^\x00-\x0a\r]+\x02[0-9]+\x03[0-9.]+(?:\x01|(?=\r?$)))*\r?"
_USUAL: dict[Kind, re.Pattern[bytes]] = {
    "skeleton": re.compile(rb"[0-9]+,[01],[01],[^,]*,[0-9]+," + _LIST, re.ASCII),
    "common": re.compile(rb"[^,]*,[0-9]+," + _LIST, re.ASCII),
}


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
    features: FeatureEntries
    ignored: Counter[str]
    """Features of fields that the schema does not name, by field."""
    rejects: list[Reject]


class _NotUniform(Exception):
    """These lines need a closer look; never leaves this module."""

    def __init__(self, odd: list[int] | None = None) -> None:
        """Name the lines that are to blame, if they are known."""
        super().__init__()
        self.odd = odd


def parse_lines(lines: Sequence[bytes], kind: Kind, fields: Sequence[Field]) -> ParsedRows:
    """Read lines (without line ends) of one kind; same result as ``parse_line`` on each."""
    return _concatenate(_pieces(lines, 0, kind, fields), kind)


def _pieces(lines: Sequence[bytes], first: int, kind: Kind, fields: Sequence[Field]) -> list[ParsedRows]:
    if not lines:
        return []
    if len(lines) <= _SLOW_LINES:
        return [_slow(line, first + i, kind, fields) for i, line in enumerate(lines)]
    try:
        rows, suspects = _fast(lines, first, kind, fields)
    except _NotUniform as e:
        odd = e.odd or _screen(lines, kind)
        if odd is not None:
            return _without(odd, lines, first, kind, fields)
        half = len(lines) // 2
        return _pieces(lines[:half], first, kind, fields) + _pieces(lines[half:], first + half, kind, fields)
    rejected = [_slow(lines[i], first + i, kind, fields) for i in suspects.tolist()]
    return [rows, *rejected]


def _screen(lines: Sequence[bytes], kind: Kind) -> list[int] | None:
    """Guess which few lines are to blame; None if there is no such guess."""
    if len(lines) < _SCREENED_LINES:
        return None
    odd = [i for i, line in enumerate(lines) if not _USUAL[kind].fullmatch(line)]
    return odd if 0 < len(odd) <= len(lines) * _MAX_ODD_SHARE else None


def _without(
    odd: list[int], lines: Sequence[bytes], first: int, kind: Kind, fields: Sequence[Field]
) -> list[ParsedRows]:
    """Read the odd lines one by one, and the others together."""
    odd_set = set(odd)
    kept = [i for i in range(len(lines)) if i not in odd_set]
    numbers = np.array(kept, np.int64) + first
    pieces = _pieces([lines[i] for i in kept], 0, kind, fields)
    return [_renumber(piece, numbers) for piece in pieces] + [_slow(lines[i], first + i, kind, fields) for i in odd]


def _renumber(rows: ParsedRows, numbers: I64) -> ParsedRows:
    rejects = [replace(r, line=int(numbers[r.line])) for r in rows.rejects]
    return replace(rows, lines=numbers[rows.lines], rejects=rejects)


def _slow(line: bytes, number: int, kind: Kind, fields: Sequence[Field]) -> ParsedRows:
    parsed = parse_line(line, kind, fields)
    if isinstance(parsed, Reason):
        return _rows_of([], number, kind, fields, [reject(number, parsed, line)])
    return _rows_of([parsed], number, kind, fields, [])


def _rows_of(
    parsed: list[ParsedLine], number: int, kind: Kind, fields: Sequence[Field], rejects: list[Reject]
) -> ParsedRows:
    features = [feature for line in parsed for feature in line.features]
    return ParsedRows(
        lines=np.full(len(parsed), number, np.int64),
        keys=np.array([context_key(line.key) for line in parsed], np.uint64),
        sample_ids=np.array([line.sample_id for line in parsed], np.int64),
        labels=np.array([line.labels for line in parsed], np.uint8).reshape(len(parsed), _num_labels(kind)),
        features=FeatureEntries(
            row=np.zeros(len(features), np.int64),
            field=np.array([f[0] for f in features], index_dtype(len(fields))),
            ids=np.array([f[1] for f in features], np.int64),
            values=np.array([f[2] for f in features], np.float64).astype(np.float32),
        ),
        ignored=parsed[0].ignored if parsed else Counter(),
        rejects=rejects,
    )


def _fast(lines: Sequence[bytes], first: int, kind: Kind, fields: Sequence[Field]) -> tuple[ParsedRows, I64]:
    """Read uniform lines; return the good ones, and the indexes of lines that ``parse_line`` must judge."""
    heads, feature_lists = _cut(lines, HEAD_COLUMNS[kind])
    head = _parse_heads(heads, kind)
    entries, name_codes, names = _parse_feature_lists(feature_lists, fields)
    suspect = head.suspect | (np.bincount(entries.row, minlength=len(lines)) != head.feature_num)
    suspect[entries.row[~(np.isfinite(entries.values) & (entries.values >= 0))]] = True
    known = entries.field != len(fields)
    one_hot = np.array([not field.multi_hot for field in fields], np.bool_)
    counts = entries.select(known).lengths(len(lines), len(fields))
    suspect |= (counts[:, one_hot] > 1).any(axis=1)

    good = ~suspect
    of_good = good[entries.row]
    ignored = np.bincount(name_codes[of_good & ~known], minlength=len(names))
    kept = entries.select(of_good & known)
    rank = np.cumsum(good) - 1
    rows = ParsedRows(
        lines=np.flatnonzero(good) + first,
        keys=head.keys[good],
        sample_ids=head.sample_ids[good],
        labels=head.labels[good],
        features=_unit_weights(
            FeatureEntries(row=rank[kept.row], field=kept.field, ids=kept.ids, values=kept.values), fields
        ),
        ignored=Counter({name: int(n) for name, n in zip(names, ignored, strict=True) if n}),
        rejects=[],
    )
    return rows, np.flatnonzero(suspect)


def _cut(lines: Sequence[bytes], head_columns: int) -> tuple[list[bytes], list[bytes]]:
    """Cut each line at its last comma."""
    heads, feature_lists = [], []
    odd = [i for i, line in enumerate(lines) if line.count(b",") != head_columns]
    if odd:
        raise _NotUniform(odd)
    for line in lines:
        head, _, features = line.rpartition(b",")
        heads.append(head)
        feature_lists.append(features.removesuffix(b"\r"))
    return heads, feature_lists


@dataclass(frozen=True, kw_only=True)
class _Heads:
    """The columns before the feature list of R lines."""

    keys: U64
    sample_ids: I64
    labels: U8
    feature_num: I64
    suspect: Bools


def _parse_heads(heads: list[bytes], kind: Kind) -> _Heads:
    table = _read_csv(b"\n".join(heads), [pa.binary()] * HEAD_COLUMNS[kind], len(heads))
    columns = [column.combine_chunks() for column in table.columns]
    if kind == "skeleton":
        sample_ids, click, conversion, key, feature_num = columns
        texts = [click, conversion]
        numbers = _whole_numbers(sample_ids)
    else:
        key, feature_num = columns
        texts = []
        numbers = np.zeros(len(heads), np.int64)
    ones = [np.asarray(pc.equal(text, pa.scalar(b"1"))) for text in texts]
    zeros = [np.asarray(pc.equal(text, pa.scalar(b"0"))) for text in texts]
    suspect = np.zeros(len(heads), np.bool_)
    for one, zero in zip(ones, zeros, strict=True):
        suspect |= ~(one | zero)
    return _Heads(
        keys=_keys(key),
        sample_ids=numbers,
        labels=np.array(ones, np.uint8).reshape(len(texts), len(heads)).T,
        feature_num=_whole_numbers(feature_num),
        suspect=suspect,
    )


def _whole_numbers(column: pa.Array) -> I64:
    text = column.cast(pa.string())
    if not pc.all(pc.utf8_is_digit(text)).as_py():  # Arrow also reads hexadecimal numbers and spaces
        raise _NotUniform
    try:
        return np.asarray(text.cast(pa.int64()))
    except pa.ArrowInvalid as e:
        raise _NotUniform from e


def _keys(column: pa.Array) -> U64:
    encoded = column.dictionary_encode()
    keys = np.array([context_key(text) for text in encoded.dictionary.to_pylist()], np.uint64)
    of_rows: U64 = keys[np.asarray(encoded.indices)]
    return of_rows


def _parse_feature_lists(
    feature_lists: list[bytes], fields: Sequence[Field]
) -> tuple[FeatureEntries, npt.NDArray[np.int32], list[str]]:
    """Read the features of all lines; those whose id or value is not a number have the value NaN.

    Features that the schema does not name have the field index ``len(fields)``.

    Returns:
        The features, and for each of them the index of its field's name among the names seen.
    """
    owner_line = np.arange(len(feature_lists))
    if not all(feature_lists):
        owner_line = np.array([i for i, text in enumerate(feature_lists) if text], np.int64)
        feature_lists = [text for text in feature_lists if text]
    joined = b"\n".join(feature_lists)
    if not joined:
        empty = FeatureEntries(
            row=np.zeros(0, np.int64),
            field=np.zeros(0, np.uint8),
            ids=np.zeros(0, np.int64),
            values=np.zeros(0, np.float32),
        )
        return empty, np.zeros(0, np.int32), []
    line_of_feature = owner_line[_check_structure(joined)]
    num_features = len(line_of_feature)
    csv = joined.translate(_TO_CSV)
    field_type = pa.dictionary(pa.int32(), pa.binary())
    if joined.translate(_TO_CSV, _DELETED):
        # Other bytes than digits are in there (exponents, signs, names with letters): look at each number's text.
        names, ids, values = _read_csv(csv, [field_type, pa.string(), pa.string()], num_features).columns
        ids, good_ids = _cast_good(ids, _SHORT_ID, pa.int64())
        values, good_values = _cast_good(values, _DECIMAL, pa.float64())
        values = np.where(good_ids & good_values, values, np.nan)
    else:
        names, ids, values = _read_csv(csv, [field_type, pa.int64(), pa.float64()], num_features).columns
    encoded = names.combine_chunks()
    codes = np.asarray(encoded.indices)
    seen = [name.decode() for name in encoded.dictionary.to_pylist()]
    by_name = {field.name: index for index, field in enumerate(fields)}
    field_of_name = np.array([by_name.get(name, len(fields)) for name in seen], index_dtype(len(fields) + 1))
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which the caller looks for
        values32 = np.asarray(values).astype(np.float32)
    entries = FeatureEntries(row=line_of_feature, field=field_of_name[codes], ids=np.asarray(ids), values=values32)
    return entries, codes, seen


def _check_structure(joined: bytes) -> I64:
    r"""Check that every feature is ``text \x02 text \x03 text``; return the line of each feature, int64 [N]."""
    array = np.frombuffer(joined, np.uint8)
    marks = array[array <= 10]
    marks = np.append(marks, np.uint8(10))
    if len(marks) % 3:
        raise _NotUniform
    second, third, end = marks.reshape(-1, 3).T
    line_end = end == 10
    if not ((second == 2).all() and (third == 3).all() and (line_end | (end == 1)).all()):
        raise _NotUniform
    line: I64 = np.cumsum(line_end) - line_end
    return line


def _cast_good(column: pa.ChunkedArray, pattern: str, target: pa.DataType) -> tuple[Array, Bools]:
    """Read the numbers that match; return the numbers, with 0 for the others, and which they are."""
    good = pc.match_substring_regex(column, pattern)
    return np.asarray(pc.if_else(good, column, "0").cast(target)), np.asarray(good)


def _read_csv(text: bytes, types: list[pa.DataType], num_rows: int) -> pa.Table:
    names = [f"c{i}" for i in range(len(types))]
    if b"\r" in text or text.startswith(b"\xef\xbb\xbf") or not _is_utf8(text):
        raise _NotUniform  # Arrow would end a line at \r, and skip a byte order mark
    try:
        table = pacsv.read_csv(
            pa.BufferReader(text),
            read_options=pacsv.ReadOptions(use_threads=False, column_names=names, block_size=len(text) + 1),
            parse_options=pacsv.ParseOptions(
                quote_char=False, double_quote=False, escape_char=False, ignore_empty_lines=False
            ),
            convert_options=pacsv.ConvertOptions(
                check_utf8=False,
                column_types=dict(zip(names, types, strict=True)),
                null_values=[],
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as e:
        raise _NotUniform from e
    if table.num_rows != num_rows:
        raise _NotUniform
    return table


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _unit_weights(entries: FeatureEntries, fields: Sequence[Field]) -> FeatureEntries:
    """Set the values of fields that are not weighted to 1."""
    weighted = np.array([field.weighted for field in fields], np.bool_)
    values = np.where(weighted[entries.field], entries.values, np.float32(1))
    return FeatureEntries(row=entries.row, field=entries.field, ids=entries.ids, values=values)


def _num_labels(kind: Kind) -> int:
    return NUM_LABELS if kind == "skeleton" else 0


def _concatenate(pieces: list[ParsedRows], kind: Kind) -> ParsedRows:
    """Join pieces, ordering rows and rejects by line."""
    offsets = np.cumsum([0] + [len(piece.lines) for piece in pieces])
    lines = np.concatenate([piece.lines for piece in pieces] or [np.zeros(0, np.int64)])
    order = np.argsort(lines, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    rows = [piece.features.row + offset for piece, offset in zip(pieces, offsets, strict=False)]
    features = FeatureEntries(
        row=rank[_join(rows, np.int64)],
        field=_join([piece.features.field for piece in pieces], np.uint8),
        ids=_join([piece.features.ids for piece in pieces], np.int64),
        values=_join([piece.features.values for piece in pieces], np.float32),
    )
    ignored: Counter[str] = Counter()
    for piece in pieces:
        ignored.update(piece.ignored)
    empty_labels = np.zeros((0, _num_labels(kind)), np.uint8)
    return ParsedRows(
        lines=lines[order],
        keys=_join([piece.keys for piece in pieces], np.uint64)[order],
        sample_ids=_join([piece.sample_ids for piece in pieces], np.int64)[order],
        labels=np.concatenate([empty_labels, *(piece.labels for piece in pieces)])[order],
        features=features,
        ignored=ignored,
        rejects=sorted((r for piece in pieces for r in piece.rejects), key=lambda r: r.line),
    )


def _join(arrays: list[Array], dtype: npt.DTypeLike) -> Array:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype)
