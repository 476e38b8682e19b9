"""Score the rows of one part of a raw log into a file."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

import numpy as np
import pyarrow as pa

from esmm_dist.inference.trained_model import TrainedModel
from esmm_dist.process.in_background import InBackground
from esmm_dist.progress import Progress
from esmm_dist.raw_scoring.raw_index import RawPart
from esmm_dist.raw_scoring.raw_reader import RawReader, ReadRows
from esmm_dist.raw_scoring.row_batches import row_batches
from esmm_dist.raw_scoring.row_features import read_features
from esmm_dist.raw_scoring.row_scorer import AskedBatch, answered
from esmm_dist.raw_scoring.scored_output import RejectLog, score_file
from esmm_dist.raw_scoring.scored_schema import ReadColumns
from esmm_dist.storage.folder import Folder
from preprocess.read.flat.columns import RowReasons, read_sample_ids, read_sample_names

_BATCHES_BEHIND = 2


@dataclass(frozen=True, kw_only=True)
class PartFiles:
    """Where a part's scores and rejects go."""

    folder: Folder
    scores: str
    rejects: str


@dataclass(frozen=True, kw_only=True)
class ScoredPart:
    """What became of the rows of a part."""

    rows: int
    """Rows with scores"""
    rejected: Counter[str]
    """Others, by reason"""
    first: dict[str, str]
    """Where the first reject of each reason stands"""


@dataclass(frozen=True, kw_only=True)
class PartScorer:
    """Scores parts, one after the other."""

    model: TrainedModel
    reader: RawReader
    columns: ReadColumns
    types: pa.Schema
    """Columns that are written"""

    def score(self, part: RawPart, files: PartFiles, progress: Progress) -> ScoredPart:
        """Score a part and write it; blocks until its files are there. Rejects are there before the scores.

        Raises:
            EsmmError: The log cannot be read, or the files cannot be written.
        """
        tree = self.model.scorer.schema.label_tree
        told = 0
        scores_written = score_file(files.folder, files.scores, self.types, tree)
        with scores_written as scores, RejectLog(files.folder, files.rejects) as rejects:
            asked = partial(self._asked, part, rejects)
            writer = InBackground(depth=_BATCHES_BEHIND, name="writer")
            with writer, closing(answered(self.model.scorer, asked)) as batches:
                for batch in batches:
                    writer.do(partial(scores.add, batch))
                    rows = len(batch.rows.rows)
                    told += rows
                    progress.advance(rows)
            progress.advance(part.rows - told)
        return ScoredPart(rows=scores.rows, rejected=rejects.counts, first=rejects.first)

    def _asked(self, part: RawPart, rejects: RejectLog) -> Iterator[AskedBatch[tuple[ReadRows, pa.Array]]]:
        first_rows = accumulate((chunk.rows for chunk in part.chunks), initial=part.first_row)
        first_row_of = dict(zip(part.chunks, first_rows, strict=False))
        for rows in self.reader.rows(part.chunks):
            reasons = RowReasons()
            names = self._names(rows, first_row_of[rows.chunk], reasons)
            features = read_features(rows.table, self.columns.schema, self.model.row_ids, reasons)
            found = [rows.reject(row, why, column) for row, (why, column) in reasons.of_row.items()]
            rejects.add(rows, sorted([*rows.rejects, *found], key=lambda each: each.line))
            for batch in row_batches(features, self.columns.schema):
                yield AskedBatch(batch, (rows, names))

    def _names(self, rows: ReadRows, first_row: int, reasons: RowReasons) -> pa.Array:
        """Return what the rows are called: int64 [R], or string [R] where texts name them."""
        schema, column = self.columns.schema, self.columns.sample_id
        if column is None:
            return pa.array(first_row + np.asarray(rows.places, np.int64))
        assert schema.flat_source is not None  # scored_schema
        if schema.has_text_sample_ids:
            _, names = read_sample_names(rows.table, column, reasons)
            return pa.array(names.to_list(), pa.binary()).cast(pa.string())
        return pa.array(read_sample_ids(rows.table, column, schema.flat_source, reasons))
