"""Many texts as flat NumPy arrays: how the names of impressions travel beside their numbers."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esmm_dist.arrays import I64, U8
from preprocess.read.feature_rows import ragged_index, splits_of


@dataclass(frozen=True, kw_only=True)
class Texts:
    """R texts in UTF-8: ``lengths`` int32 [R], in bytes; ``data`` uint8 [lengths.sum()]."""

    lengths: npt.NDArray[np.int32]
    data: U8

    @classmethod
    def of(cls, column: pa.Array) -> "Texts":
        """Return the texts of a column; null is the empty text."""
        column = column.cast(pa.large_binary()).fill_null(b"")
        # A slice has an offset into its buffers
        ends = np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + len(column) + 1]
        data = np.frombuffer(column.buffers()[2] or b"", np.uint8)[ends[0] : ends[-1]]
        return cls(lengths=np.diff(ends).astype(np.int32), data=data)

    @cached_property
    def splits(self) -> I64:
        """Where each text begins: int64 [R + 1]. Kept, since ``take`` needs it of all texts for each few."""
        return splits_of(self.lengths.astype(np.int64))

    def take(self, index: I64) -> "Texts":
        """Return the texts at ``index`` (int64 [K]), in its order."""
        return Texts(lengths=self.lengths[index], data=self.data[ragged_index(self.splits, index)])

    def to_list(self) -> list[bytes]:
        """Return the texts one by one."""
        data, splits = self.data.tobytes(), self.splits.tolist()
        return [data[begin:end] for begin, end in pairwise(splits)]
