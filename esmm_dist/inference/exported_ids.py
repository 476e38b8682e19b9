"""Feature ids in TensorFlow: what ``esmm_dist.schema.feature_id`` and numeric fields do, for a graph that serves.

All functions take and return tensors of one dimension. Texts are UTF-8.
"""

from collections.abc import Sequence

import tensorflow as tf

from esmm_dist.schema.feature_id import ID_MASK
from esmm_dist.schema.numeric import LEAST_NUMBER, Numeric

_CLOCK = r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}[ T])?[0-9]{2}:[0-9]{2}:[0-9]{2}"
_ZONE = r"[+-][0-9]{2}:[0-9]{2}"
_EXPONENT = r"-?[0-9](?:(?:\.[0-9]+)?e[+-][0-9]{2,3}|\.[0-9]+E-?[0-9]{1,3})"
_MOST_ZEROS = "0" * 1100  # before or behind the digits of a number with an exponent of three digits
_WHOLE_BELOW = 2.0**63


def value_texts(texts: tf.Tensor) -> tf.Tensor:
    """Return ``value_text`` of each text, string [N]; the empty text for a missing value."""
    for missing in ("NaN", "nan"):
        texts = tf.where(texts == missing, "", texts)
    for written, text in (("True", "true"), ("False", "false")):
        texts = tf.where(texts == written, text, texts)
    texts = tf.strings.regex_replace(texts, r"^(?:(-?[1-9][0-9]*)|-?(0))\.0+$", r"\1\2")
    texts = tf.strings.regex_replace(texts, rf"^({_CLOCK})\.(?:0+|0*({_ZONE}))$", r"\1\2")
    texts = tf.strings.regex_replace(texts, rf"^({_CLOCK}\.[0-9]*[1-9])0+({_ZONE})?$", r"\1\2")
    place = tf.where(tf.strings.regex_full_match(texts, _EXPONENT))
    return tf.tensor_scatter_nd_update(texts, place, _without_exponent(tf.gather_nd(texts, place)))


def _without_exponent(texts: tf.Tensor) -> tf.Tensor:
    """Return the digits of numbers with an exponent, as ``feature_id`` does."""
    numbers = tf.strings.to_number(texts, tf.float64)
    # Below 1 by its digits: TensorFlow takes the smallest numbers for 0
    whole = (numbers == tf.floor(numbers)) & (tf.abs(numbers) >= 1) & (tf.abs(numbers) < _WHOLE_BELOW)
    exact = tf.as_string(tf.cast(tf.where(whole, numbers, 0.0), tf.int64))
    sign = tf.strings.regex_replace(texts, r"^(-?).*$", r"\1")
    digits = tf.strings.regex_replace(texts, r"^-?([0-9])(?:\.([0-9]+))?[eE].*$", r"\1\2")
    exponent = tf.strings.to_number(tf.strings.regex_replace(texts, r"^.*[eE]\+?", ""), tf.int32)
    length, point = tf.strings.length(digits), exponent + 1
    zeros = tf.fill(tf.shape(texts), _MOST_ZEROS)
    before = tf.strings.substr(zeros, tf.zeros_like(point), tf.maximum(1 - point, 0))
    behind = tf.strings.substr(zeros, tf.zeros_like(point), tf.maximum(point - length, 0))
    digits = tf.strings.join([before, digits, behind])
    point = tf.maximum(point, 1)  # digits before the point; one at least
    rest = tf.strings.length(digits) - point
    shifted = tf.strings.join(
        [tf.strings.substr(digits, tf.zeros_like(point), point), ".", tf.strings.substr(digits, point, rest)]
    )
    shifted = tf.strings.regex_replace(tf.strings.join([sign, _trimmed(shifted)]), r"^-0$", "0")
    return tf.where(tf.math.is_finite(numbers), tf.where(whole, exact, shifted), texts)


def _trimmed(numbers: tf.Tensor) -> tf.Tensor:
    """Return decimal numbers, which have a point, without the zeros that say nothing."""
    numbers = tf.strings.regex_replace(numbers, r"^([0-9]*)\.([0-9]*[1-9])?0*$", r"\1.\2")
    numbers = tf.strings.regex_replace(numbers, r"\.$", "")
    return tf.strings.regex_replace(numbers, r"^0+([0-9])", r"\1")


def category_ids(field: str, texts: tf.Tensor) -> tf.Tensor:
    """Return ``feature_id`` of each text, int64 [N]; that of a missing value is ``missing_id``.

    Args:
        field: name of the field whose values have the ids
        texts: texts of values as ``value_texts`` returns them, string [N]
    """
    return _hashed(field, texts)


def number_ids(numeric: Numeric, field: str, numbers: tf.Tensor) -> tf.Tensor:
    """Return the id of each number's bucket, int64 [N]; of NaN ``missing_id``.

    Args:
        numeric: buckets of the field, with their edges
        field: name of the field
        numbers: float64 [N]
    """
    edges = tf.constant(numeric.edges, tf.float64, shape=[len(numeric.edges or ())])
    missing = tf.math.is_nan(numbers)
    numbers = tf.where(missing | (tf.abs(numbers) < LEAST_NUMBER), tf.zeros_like(numbers), numbers)
    bucket = tf.searchsorted(edges, numbers, side="right")
    return _hashed(field, tf.where(missing, "", tf.as_string(bucket)))


def cross_ids(field: str, parts: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return ``cross_id`` of each row, int64 [N].

    Args:
        field: name of the cross
        parts: ids of its parts, int64 [N] each; for a part without a value its ``missing_id``
    """
    return _hashed(field, tf.strings.join([tf.as_string(part) for part in parts], separator=","))


def _hashed(field: str, texts: tf.Tensor) -> tf.Tensor:
    """Return ``hashed_id`` of the field's name, a NUL and each text."""
    named = tf.strings.join([tf.constant(field.encode() + b"\0"), texts])
    return tf.bitwise.bitwise_and(tf.bitcast(tf.fingerprint(named), tf.int64), tf.constant(ID_MASK, tf.int64))
