r"""Read one line of the raw Ali-CCP form, simply and slowly. This is the grammar; ``chunk`` must agree with it.

::

    sample_skeleton:  sample_id,label,...,common_feature_index,feature_num,feature_list    a label: 0 or 1
    common_features:  common_feature_index,feature_num,feature_list
    feature_list:     feature \x01 feature \x01 ...     empty if feature_num is 0
    feature:          field \x02 id \x03 value
                      one column for each label of the schema, in its order: Ali-CCP's own has click,conversion
    id, sample_id:    digits, at most 2^63 - 1            value: decimal number, 0 or more, finite as float32
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from esmm_dist.schema.fields import Field
from preprocess.read.numbers import parse_value, whole_number
from preprocess.read.rejects import Reason

Kind = Literal["skeleton", "common"]
ALICCP_LABELS = 2
"""Labels of Ali-CCP itself: click and conversion."""

_HEX16 = re.compile(rb"[0-9a-f]{16}")


@dataclass(frozen=True, kw_only=True)
class ParsedLine:
    """One good line."""

    key: bytes
    sample_id: int
    """0 for a common line."""
    labels: tuple[int, ...]
    """Empty for a common line."""
    features: tuple[tuple[int, int, float], ...]
    """(field index, id, value), in log order; fields that are not weighted have value 1."""
    ignored: Counter[str]
    """Features of fields that are not in the list of fields, by name."""


def parse_line(
    line: bytes, kind: Kind, fields: Sequence[Field], num_labels: int = ALICCP_LABELS
) -> ParsedLine | Reason:
    r"""Read one line without its line end, or say why it is rejected.

    Args:
        line: line without ``\n``; one ``\r`` at its end belongs to the line end and is dropped
        kind: which of the two files it comes from
        fields: fields to keep, in schema order
        num_labels: label columns of a skeleton line
    """
    line = line.removesuffix(b"\r")
    if not _is_utf8(line):
        return Reason.BAD_UTF8
    columns = line.split(b",")
    if len(columns) != (num_labels + 4 if kind == "skeleton" else 3):
        return Reason.WRONG_COLUMNS
    sample_id, labels = 0, columns[1:-3] if kind == "skeleton" else []
    if kind == "skeleton":
        number = whole_number(columns[0])
        if number is None:
            return Reason.BAD_SAMPLE_ID
        sample_id = number
    if any(label not in (b"0", b"1") for label in labels):
        return Reason.BAD_LABEL
    texts = columns[-1].split(b"\x01") if columns[-1] else []
    if whole_number(columns[-2]) != len(texts):
        return Reason.BAD_FEATURE_COUNT
    features = _parse_features(texts, fields)
    if isinstance(features, Reason):
        return features
    kept, ignored = features
    key = columns[-3] if kind == "skeleton" else columns[0]
    return ParsedLine(
        key=key, sample_id=sample_id, labels=tuple(map(int, labels)), features=tuple(kept), ignored=ignored
    )


def _parse_features(
    texts: list[bytes], fields: Sequence[Field]
) -> tuple[list[tuple[int, int, float]], Counter[str]] | Reason:
    by_name = {field.name: index for index, field in enumerate(fields)}
    kept: list[tuple[int, int, float]] = []
    ignored: Counter[str] = Counter()
    for text in texts:
        feature = _parse_feature(text)
        if isinstance(feature, Reason):
            return feature
        name, feature_id, value = feature
        index = by_name.get(name)
        if index is None:
            ignored[name] += 1
        else:
            kept.append((index, feature_id, value if fields[index].weighted else 1.0))
    counts = Counter(index for index, _, _ in kept)
    if any(count > 1 and not fields[index].multi_hot for index, count in counts.items()):
        return Reason.SEVERAL_IDS
    return kept, ignored


def _parse_feature(text: bytes) -> tuple[str, int, float] | Reason:
    name, _, rest = text.partition(b"\x02")
    id_text, _, value_text = rest.partition(b"\x03")
    # The separators, once each, in this order; other control bytes up to \n are damage, not text.
    if bytes(b for b in text if b <= 10) != b"\x02\x03":
        return Reason.BAD_FEATURE
    feature_id = whole_number(id_text)
    if feature_id is None:
        return Reason.NON_NUMERIC_ID
    value = parse_value(value_text)
    return value if isinstance(value, Reason) else (name.decode(), feature_id, value)


def context_key(text: bytes) -> int:
    """Return the 64-bit key of a ``common_feature_index``.

    Sixteen lowercase hex digits (what Ali-CCP has) stand for their own number, without loss; any other text is hashed.
    """
    if _HEX16.fullmatch(text):
        return int(text, 16)
    return int.from_bytes(hashlib.blake2b(text, digest_size=8, person=b"context").digest(), "little")


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
