"""Stable 64-bit hashes: the same on every machine, in every run, for any number of workers."""

import hashlib
import re

import numpy as np

_HEX16 = re.compile(rb"[0-9a-f]{16}")


def seeded(seed: int, purpose: str) -> np.uint64:
    """Return a 64-bit salt for one purpose of a run's seed."""
    digest = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def text_key(text: bytes) -> int:
    """Return the 64-bit key of a ``common_feature_index``.

    Sixteen lowercase hex digits (what Ali-CCP has) stand for their own number, without loss; any other text is hashed.
    """
    if _HEX16.fullmatch(text):
        return int(text, 16)
    return int.from_bytes(hashlib.blake2b(text, digest_size=8, person=b"context").digest(), "little")
