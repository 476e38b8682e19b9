"""Say which field blew up when a loss or gradient is not finite."""

import numpy as np

from esmm_dist.arrays import F32, U8
from esmm_dist.embedding.lookup import TableLookup
from esmm_dist.errors import NumericalError
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.ranks.world import World
from esmm_dist.schema.fields import Field, Schema


def numerical_error(
    *,
    step: int,
    epoch: int,
    schema: Schema,
    batch: GroupedBatch,
    lookups: dict[str, TableLookup],
    rows: dict[str, F32],
) -> NumericalError:
    """Describe a batch whose loss or gradient is not finite.

    Args:
        step: step that was about to be made, 1, 2, ...
        epoch: 0, 1, ...
        schema: schema of the data set
        batch: this rank's share of the batch
        lookups: its unique ids by table
        rows: rows that were pulled for it

    Returns:
        The error to raise: it names step, batch and the field whose pooled vectors hold the largest value.
    """
    field, largest = _largest_field(schema, batch, lookups, rows)
    what = "hashes of sample ids" if schema.has_text_sample_ids else "sample ids"
    samples = f", {what} {batch.sample_ids[0]} .. {batch.sample_ids[-1]}" if batch.num_impressions else ""
    return NumericalError(
        f"The loss, its gradient or a square of it is not finite at step {step} (epoch {epoch}, batch of "
        f"{batch.num_impressions} impressions{samples}). Nothing was updated. The largest pooled "
        f"value is {largest:.3g}, in field '{field.name}' ({field.alias}). Look at that field's weights in the log, or "
        "lower --embedding-learning-rate and --dense-learning-rate; the last checkpoint is intact."
    )


def agreed_error(own: NumericalError | None, step: int, world: World) -> NumericalError:
    """Return the error that a rank raises at a step that is not finite; a collective.

    They share it because the first rank that ends takes the others down with it.

    Args:
        own: error of this rank's batch; None if it is finite
        step: step that was about to be made
        world: ranks of the training
    """
    text = f"{own}\n" if own is not None else ""
    texts = world.gather(np.frombuffer(text.encode(), dtype=np.uint8).reshape(-1, 1))
    if own is not None:
        return own
    return NumericalError(f"Step {step}: another rank's batch is not finite. That rank says: {_first_line(texts)}")


def _first_line(texts: U8) -> str:
    return texts.tobytes().decode().partition("\n")[0]


def _largest_field(
    schema: Schema, batch: GroupedBatch, lookups: dict[str, TableLookup], rows: dict[str, F32]
) -> tuple[Field, float]:
    seen = {name for lookup in lookups.values() for name in (*lookup.user_fields, *lookup.impression_fields)}
    largest = {field.name: -1.0 for field in schema.fields if field.name in seen}
    for table, lookup in lookups.items():
        fields = lookup.user_fields * batch.num_groups + lookup.impression_fields * batch.num_impressions
        pooled = np.zeros((len(fields), rows[table].shape[1]))
        held = int(lookup.begins[len(fields)])  # without the elements of lists behind them
        segments, places, weights = lookup.segments[:held], lookup.places[:held], lookup.weights[:held]
        with np.errstate(over="ignore", invalid="ignore"):
            np.add.at(pooled, segments, weights[:, np.newaxis].astype(np.float64) * rows[table][places])
        values = np.nan_to_num(np.abs(pooled), nan=np.inf, posinf=np.inf).max(axis=1, initial=0.0)
        for number, name in enumerate(fields):
            largest[name] = max(largest[name], float(values[number]))
    name = max(largest, key=lambda key: largest[key])
    return schema.field(name), largest[name]
