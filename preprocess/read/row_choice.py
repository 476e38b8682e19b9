"""Which rows of the train files are the validation split, which negatives are left out, and which rows are a sample.

All are decided by hashes: of the user context, or of the sample id. So neither workers, chunks, nor the order of the
files matter. The hash of a context is the same for every seed and log: a user who is in the validation split today is
there tomorrow too, and data sets of several seeds are compared on the same impressions.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import F64, I64, U8, U64, Bools
from esmm_dist.hashing import mix64

_VALIDATION = int.from_bytes(b"validate", "little")
_SAMPLE = int.from_bytes(b"sampling", "little")


@dataclass(frozen=True, kw_only=True)
class RowChoice:
    """What is read of a log, and what is taken out of the train split."""

    validation_share: float = 0.0
    """Share of the user contexts that are the validation split. 0: none."""
    keep_negatives: float = 1.0
    """Probability with which a train impression whose first label is 0 is kept. 1: all are."""
    seed: int = 0
    """Seed of the choice of the negatives."""
    context_share: float = 1.0
    """Share of the user contexts of all splits that is read (``Inspection``). 1: all."""

    def sampled(self, keys: U64) -> Bools:
        """Return which of what keys (uint64 [R]) name is read: user contexts, or lines without one; bool [R]."""
        return _uniform(mix64(keys, _SAMPLE)) < self.context_share

    def validation(self, contexts: U64) -> Bools:
        """Return which user contexts (uint64 [R]) are the validation split: bool [R]."""
        return _uniform(mix64(contexts, _VALIDATION)) < self.validation_share

    def left_out(self, sample_ids: I64, labels: U8) -> Bools:
        """Return which train impressions are left out: bool [R].

        Args:
            sample_ids: int64 [R]
            labels: labels as in the log, uint8 [R, labels]
        """
        if self.keep_negatives >= 1:
            return np.zeros(len(sample_ids), np.bool_)
        digest = hashlib.blake2b(f"{self.seed}/negatives".encode(), digest_size=8).digest()
        hashes = mix64(sample_ids, int.from_bytes(digest, "little"))
        is_negative: Bools = labels[:, 0] == 0
        return is_negative & (_uniform(hashes) >= self.keep_negatives)


def _uniform(hashes: U64) -> F64:
    """Return the first 53 bits of hashes as numbers in [0, 1): float64 [R]."""
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53
