"""Feature ids of a flat log, whose values are texts or numbers without a common id space."""

import hashlib

ID_BITS = 63


def feature_id(field: str, text: str) -> int:
    """Return the feature id of one value of one field: the first 63 bits of BLAKE2b of ``field``, a NUL and ``text``.

    The same everywhere and for ever: training, serving and another day's log agree without a shared dictionary. Fields
    do not share ids. Two of n values collide with probability n² / 2^64: 1 in 180,000 for 10 million values.

    Args:
        field: Name of the field in the schema.
        text: The value as text: a whole number without point or leading zeros ("4", also where the column is float),
            other values as they are written.
    """
    digest = hashlib.blake2b(field.encode() + b"\0" + text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - ID_BITS)
