"""Versions of a served model that answer, made without a training: random rows, and networks of random weights."""

import dataclasses
import functools
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from esmm_dist.calibration.logit_transform import LogitTransform
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.inference.exported_towers import ExportedTowers
from esmm_dist.inference.served_export import write_towers
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.esmm import Esmm
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.served_model.manifest import SERVED_FOLDER, TOWERS_FOLDER
from esmm_dist.served_model.mapped_model import MappedModel
from esmm_dist.served_model.writing import write_delta, write_full
from esmm_dist.serving.requests.asked_request import read_request
from esmm_dist.serving.scoring.served_scorer import ServedScorer
from tests.support.asked import ASKED
from tests.support.served_models import DIMS, SCHEMA, Rows, content, random_rows, to_serve

USERS, ITEMS = range(1, 201), range(1001, 1401)


def rows_of(seed: int) -> dict[str, Rows]:
    """Return rows of all users and items."""
    return {
        "main": random_rows(USERS, DIMS["main"], seed),
        "items": random_rows(ITEMS, DIMS["items"], seed + 1),
    }


def write_answering(models: Path, name: str, rows: Mapping[str, Rows], **changes: Any) -> Path:
    """Write a version, a delta of the folders in ``bases`` if they are given, with its golden request.

    Args:
        models: folder of the versions
        name: name of the version
        rows: all rows of the version, by table
        **changes: ``bases``, folders of the full version and its deltas; ``networks``, seed of the networks' weights;
            else what ``content`` takes
    """
    bases: Sequence[Path] = changes.pop("bases", ())
    networks: int = changes.pop("networks", 1)
    hidden = models / f".{name}.being_made"
    served = hidden / SERVED_FOLDER
    shutil.copytree(_towers(networks), served / TOWERS_FOLDER)
    tables = [to_serve(table, of_table) for table, of_table in rows.items()]
    about = content(towers_digest=f"networks {networks}", **changes)
    if bases:
        write_delta(served, about, tables, MappedModel.open(bases), base_version=bases[-1].name)
    else:
        write_full(served, about, tables)
    answer = {name: column.tolist() for name, column in answer_of([*bases, hidden]).items()}
    golden = {
        "tolerance": 1e-6,
        "requests": [{"name": "four", "form": "short", "request": ASKED, "answer": {"scores": answer}}],
    }
    (hidden / "assets.extra").mkdir()
    (hidden / "assets.extra" / "golden.json").write_text(json.dumps(golden))
    hidden.rename(models / name)
    return models / name


def answer_of(folders: Sequence[Path], asked: Any = ASKED) -> dict[str, np.ndarray]:
    """Return the scores that a full version with its deltas gives."""
    scorer = ServedScorer.open(folders)
    return scorer.score(read_request("short", asked, scorer).batch)


def brand_added() -> Schema:
    """Return the schema of a log with one more field, which the networks do not read."""
    return dataclasses.replace(SCHEMA, fields=(*SCHEMA.fields, Field(name="brand", owner="item")))


@functools.cache
def _towers(seed: int) -> Path:
    """Return a folder with networks of random weights."""
    embedding = EmbeddingConfig(embedding_dim=DIMS["main"], embedding_dim_by_table={"items": DIMS["items"]})
    model = Esmm(SCHEMA, embedding, ModelConfig(hidden_units=(8,)), seed=seed)
    made = Path(tempfile.mkdtemp())
    write_towers(ExportedTowers(SCHEMA, model, LogitTransform.of(1.0, None)), made)
    return made / SERVED_FOLDER / TOWERS_FOLDER
