"""``vocabulary.parquet`` as preprocess writes it, of the rows that a test chooses."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def write_vocabulary(folder: Path, rows: Sequence[tuple[str, int, int]]) -> None:
    """Write the vocabulary of a data set: rows of (field, feature id, train impressions)."""
    fields, ids, counts = zip(*rows, strict=True) if rows else ((), (), ())
    names = pa.array(fields, pa.string()).dictionary_encode()
    columns = {"feature_id": pa.array(ids, pa.int64()), "field": names, "count": pa.array(counts, pa.int64())}
    pq.write_table(pa.table(columns), folder / "vocabulary.parquet")
