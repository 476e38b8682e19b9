"""The model that serving's figures are of, and the requests: the reference work, exported, and one user's candidates.

A training of the reference work with its table filled to 4.5 M rows makes a few steps; each step changes about 1% of
the rows and gives a version: the first is whole, the others are deltas, each of the one before.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from esmm_dist.input.batch import GroupedBatch
from esmm_dist.input.config import InputConfig
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.process.quiet import import_tfra
from esmm_dist.progress import NoProgress
from esmm_dist.schema import record_format as keys
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.manifest import read_manifest
from tests.benchmarks.figures import Scale
from tests.benchmarks.reference_work import TABLE_ROWS, batch_records, data_set, fill, reference_config, run_esmm

CANDIDATES = 200
DELTAS = 3
BATCH_SHARE = 3
"""A step of a third of the reference work's batch changes about 1% of the rows"""
FIRST_STEP = 2
"""Training step of version 1"""
REQUESTS = 64
"""Different ones, which are asked in turns"""
IDS_OF_USER = 600
"""Users are those whose lists are nearest to it"""


@dataclass(frozen=True, kw_only=True)
class ServedWork:
    """What is served, and what is asked."""

    folder: Path
    """Holds the versions under their names"""
    schema: Schema
    users: tuple[GroupedBatch, ...]
    """One user with 200 candidates each"""

    @property
    def whole(self) -> Path:
        """Folder of the whole version."""
        return self.folder / "1"

    @property
    def deltas(self) -> list[Path]:
        """Folders of its deltas, in their order."""
        return [self.folder / f"{2 + number}.delta" for number in range(DELTAS)]

    @property
    def ids_of_user(self) -> float:
        """Mean number of ids of a user."""
        return float(np.mean([len(user.user_ids) for user in self.users]))

    def bodies(self) -> list[bytes]:
        """Return the requests in the short form."""
        return [json.dumps(short_request(user, self.schema), separators=(",", ":")).encode() for user in self.users]


def served_work(scale: Scale) -> ServedWork:
    """Return the model and the requests; the model is made unless it is there."""
    data = data_set(scale, 8, "aliccp")  # 19 fields, without the four that the log derives
    rows = scale.of(TABLE_ROWS, 0)
    folder = scale.folder / f"served-{rows}"
    if not folder.is_dir():
        scratch = scale.folder / f".served-{rows}"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        _make(data, scratch, rows)
        shutil.rmtree(scratch / "run")
        scratch.rename(folder)
    manifest = read_manifest(data)
    users = tuple(_users(data, REQUESTS))
    return ServedWork(folder=folder, schema=manifest.schema, users=users)


def _make(data: Path, folder: Path, rows: int) -> None:
    """Train step by step, and export each step's model."""
    import_tfra()
    from esmm_dist.train.trainer import Trainer

    (folder / "run").mkdir()
    for number in range(1 + DELTAS):
        config = reference_config(data, folder / "run", epochs=8)
        manifest = read_manifest(data)
        records = max(batch_records(manifest) // BATCH_SHARE // manifest.lanes, 1) * manifest.lanes
        batches = replace(config.input, global_batch_records=records)
        config = replace(config, input=batches, max_steps=FIRST_STEP + number)
        with Trainer(config, NoProgress()) as trainer:
            if number == 0:
                fill(trainer.store, trainer.config, rows)
            trainer.train()
            del trainer
        line = ["export", "--run", str(folder / "run"), "--out"]
        if number == 0:
            run_esmm([*line, str(folder / "1")])
        else:
            base = "1" if number == 1 else f"{number}.delta"
            run_esmm([*line, str(folder / f"{number + 1}.delta"), "--delta-since", base])


def _users(data: Path, number: int) -> Iterator[GroupedBatch]:
    """Yield users of the test split, each with 200 candidates that were shown to any user."""
    manifest = read_manifest(data)
    schema = manifest.schema
    reader = BatchReader(data, manifest, "test", InputConfig(global_batch_records=16 * manifest.lanes))
    batch = next(iter(reader.epoch(0, seed=None)))
    fields_u, fields_i = len(schema.user_fields), len(schema.impression_fields)
    ends_u = np.concatenate([[0], np.cumsum(batch.user_lengths)])
    ends_i = np.concatenate([[0], np.cumsum(batch.impression_lengths)])
    random = np.random.default_rng(1)
    users = {}
    for group in range(batch.num_groups):
        user = slice(ends_u[group * fields_u], ends_u[(group + 1) * fields_u])
        users.setdefault(batch.user_ids[user].tobytes(), (group, user))  # a user may have several groups
    for group, user in sorted(users.values(), key=lambda each: abs(each[1].stop - each[1].start - IDS_OF_USER))[
        :number
    ]:
        shown = random.choice(batch.num_impressions, CANDIDATES, replace=False)
        places = np.concatenate([np.arange(ends_i[i * fields_i], ends_i[(i + 1) * fields_i]) for i in shown])
        lengths = [batch.impression_lengths[i * fields_i : (i + 1) * fields_i] for i in shown]
        yield GroupedBatch(
            user_ids=batch.user_ids[user],
            user_lengths=batch.user_lengths[group * fields_u : (group + 1) * fields_u],
            user_weights=None if batch.user_weights is None else batch.user_weights[user],
            impression_ids=batch.impression_ids[places],
            impression_lengths=np.concatenate(lengths),
            impression_weights=None if batch.impression_weights is None else batch.impression_weights[places],
            impressions_per_group=np.array([CANDIDATES], np.int64),
            sample_ids=np.arange(CANDIDATES, dtype=np.int64),
            labels=np.zeros((CANDIDATES, len(schema.labels)), np.int64),
        )


def short_request(user: GroupedBatch, schema: Schema) -> dict[str, Any]:
    """Return the request of one user in the short form, as a serving engineer writes it."""
    [beside] = _rows(schema.user_fields, user.user_ids, user.user_lengths, user.user_weights)
    rows = _rows(schema.impression_fields, user.impression_ids, user.impression_lengths, user.impression_weights)
    return {**beside, "candidates": list(rows)}


def joined_rows(user: GroupedBatch) -> GroupedBatch:
    """Return each candidate as a user of its own, as rows of a joined table are."""
    count = user.num_impressions
    return replace(
        user,
        user_ids=np.tile(user.user_ids, count),
        user_lengths=np.tile(user.user_lengths, count),
        user_weights=None if user.user_weights is None else np.tile(user.user_weights, count),
        impressions_per_group=np.ones(count, np.int64),
    )


def records_of(rows: GroupedBatch, schema: Schema) -> list[bytes]:
    """Return joined rows as records of ``esmm preprocess``, one each."""
    import tensorflow as tf

    def ints(values: Any) -> Any:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    def floats(values: Any) -> Any:
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    count, fields = rows.num_impressions, len(schema.impression_fields)
    ids_of_user, ends = len(rows.user_ids) // count, np.cumsum(rows.impression_lengths.reshape(count, fields).sum(1))
    found = []
    for row in range(count):
        own = slice(int(ends[row - 1]) if row else 0, int(ends[row]))
        features = {
            keys.USER_IDS: ints(rows.user_ids[:ids_of_user]),
            keys.USER_LENGTHS: ints(rows.user_lengths[: len(schema.user_fields)]),
            keys.IMPRESSION_IDS: ints(rows.impression_ids[own]),
            keys.IMPRESSION_LENGTHS: ints(rows.impression_lengths[row * fields : (row + 1) * fields]),
            keys.SAMPLE_IDS: ints([row]),
        }
        if rows.user_weights is not None:
            features[keys.USER_WEIGHTS] = floats(rows.user_weights[:ids_of_user])
        if rows.impression_weights is not None:
            features[keys.IMPRESSION_WEIGHTS] = floats(rows.impression_weights[own])
        found.append(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return found


def values_of(rows: GroupedBatch, schema: Schema, inputs: Mapping[str, Mapping[str, str | None]]) -> dict[str, Any]:
    """Return the inputs of the signature ``values``.

    Args:
        rows: users with their impressions
        schema: a schema of feature ids
        inputs: the names of each field's inputs, as ``esmm.json`` has them
    """
    found: dict[str, Any] = {"impressions_per_group": rows.impressions_per_group}
    of_users = (schema.user_fields, rows.user_ids, rows.user_lengths, rows.user_weights)
    of_impressions = (schema.impression_fields, rows.impression_ids, rows.impression_lengths, rows.impression_weights)
    for fields, ids, all_lengths, weights in (of_users, of_impressions):
        field_of_id = np.repeat(np.arange(len(all_lengths)) % len(fields), all_lengths)
        for place, field in enumerate(fields):
            names, own, lengths = inputs[field.name], field_of_id == place, all_lengths[place :: len(fields)]
            values = ids[own]
            if not field.multi_hot:
                values = np.full(len(lengths), -1, np.int64)
                values[lengths > 0] = ids[own]
            found[str(names["value"])] = values
            if names["lengths"] is not None:
                found[names["lengths"]] = lengths
            if names["weights"] is not None and weights is not None:
                found[names["weights"]] = weights[own]
    return found


def _rows(fields: tuple[Field, ...], ids: Any, lengths: Any, weights: Any) -> Iterator[dict[str, Any]]:
    place = 0
    for row in lengths.reshape(-1, len(fields)):
        found: dict[str, Any] = {}
        for field, length in zip(fields, row.tolist(), strict=True):
            part = slice(place, place + length)
            place += length
            if field.multi_hot:
                found[field.name] = ids[part].tolist()
                if field.weighted:
                    found[f"{field.name}_weights"] = [round(float(each), 4) for each in weights[part]]
            elif length:
                found[field.name] = int(ids[part][0])
                if field.weighted:
                    found[f"{field.name}_weights"] = round(float(weights[part][0]), 4)
        yield found
