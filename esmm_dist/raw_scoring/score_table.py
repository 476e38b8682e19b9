"""Score the rows of a table in memory."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Literal

import numpy as np
import pyarrow as pa

from esmm_dist.arrays import F64
from esmm_dist.errors import ConfigError, InputDataError
from esmm_dist.inference.kept_columns import check_names
from esmm_dist.inference.probabilities import probabilities
from esmm_dist.inference.trained_model import TrainedModel
from esmm_dist.raw_scoring.row_batches import row_batches
from esmm_dist.raw_scoring.row_features import read_features
from esmm_dist.raw_scoring.row_scorer import AskedBatch, answered
from esmm_dist.raw_scoring.scored_schema import ReadColumns, readable_table, scored_schema
from preprocess.read.flat.columns import RowReasons
from preprocess.read.flat.header import columns_scored
from preprocess.read.flat.row_texts import value_shown

_ROWS_READ = 1 << 16
_MOST_SHOWN = 3

BadRows = Literal["fail", "null"]


def score_table(
    model: TrainedModel, table: pa.Table, keep: Sequence[str] = (), *, bad_rows: BadRows = "fail"
) -> pa.Table:
    """Score each row of a table, which needs no labels; blocks until all are scored.

    Args:
        model: a model of a flat log
        table: R rows with the columns of the model's fields, as its log has them; others are ignored
        keep: columns to return in front of the scores, with their own types
        bad_rows: what to do with a row that does not fit its fields: ``fail``, or ``null`` for scores that are null

    Returns:
        R rows in the table's order: ``keep``, and the columns of ``LabelTree`` (``pctr``, ``pcvr``, ``pctcvr`` of two
        labels), float32.

    Raises:
        SchemaError: A column is missing or has a type that cannot be read, or the model is of the Ali-CCP form.
        InputDataError: A row does not fit its fields, and ``bad_rows`` is ``fail``; the message names the first ones.
        ConfigError: ``keep`` names a column twice, or one of the scores; or ``bad_rows`` is another word.
        CheckpointError: A file of rows of the model's checkpoint has gone or is damaged.
    """
    if bad_rows not in ("fail", "null"):
        raise ConfigError(f"bad_rows is '{bad_rows}'. Set 'fail' or 'null'.")
    schema = scored_schema(model.scorer.schema)
    tree = schema.label_tree
    check_names(keep, tree.columns)
    twice = [name for name in keep if list(keep).count(name) > 1]
    if twice:
        raise ConfigError(f"keep names '{twice[0]}' twice. Name it once.")
    ReadColumns(schema=schema, keep=keep).check("the table", table.schema)
    rejected: dict[int, str] = {}

    def asked() -> Iterator[AskedBatch[int]]:
        read = readable_table(table.select(list(columns_scored(schema))))
        for first in range(0, table.num_rows, _ROWS_READ):
            part, reasons = read.slice(first, _ROWS_READ), RowReasons()
            features = read_features(part, schema, model.row_ids, reasons)
            for row, (reason, column) in sorted(reasons.of_row.items()):
                rejected[first + row] = f"row {first + row}, column '{column}' is "
                rejected[first + row] += f"'{value_shown(part.column(column), row)[:80]}' ({reason})"
            if rejected and bad_rows == "fail":
                return
            for batch in row_batches(features, schema):
                yield AskedBatch(batch, first)

    logits: F64 = np.zeros((table.num_rows, len(tree.names)))
    with closing(answered(model.scorer, asked)) as batches:
        for batch in batches:
            logits[batch.of + batch.rows.rows] = batch.logits
    if rejected and bad_rows == "fail":
        raise _bad_rows(rejected)
    missing = np.zeros(table.num_rows, np.bool_)
    missing[list(rejected)] = True
    scores = [pa.array(column, pa.float32(), mask=missing) for column in probabilities(logits, tree)]
    return pa.table([*(table.column(name) for name in keep), *scores], names=[*keep, *tree.columns])


def _bad_rows(rejected: dict[int, str]) -> InputDataError:
    first = [rejected[row] for row in sorted(rejected)[:_MOST_SHOWN]]
    more = ", ..." if len(rejected) > len(first) else ""
    return InputDataError(
        f"The table has rows that do not fit their fields: {'; '.join(first)}{more}. Correct them, or set bad_rows to "
        "'null' for scores that are null there."
    )
