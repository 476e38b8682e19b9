"""Stable 64-bit hashes: the same on every machine, in every run, for any number of workers."""

import hashlib
import re

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]

_HEX16 = re.compile(rb"[0-9a-f]{16}")


def mix64(x: U64) -> U64:
    """Return the finalizer of SplitMix64 of each value: a bijection that spreads neighbours over all 64 bits.

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014; constants of
    https://prng.di.unimi.it/splitmix64.c.
    """
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


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
