"""Write ``assets.extra`` of a version, from the rows that stand beside it on the disk."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from esmm_dist.arrays import Ids
from esmm_dist.checkpoint.reader import Checkpoint
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.inference.export_assets.examples import Examples
from esmm_dist.inference.export_assets.golden import GoldenModel, answered, golden
from esmm_dist.inference.export_assets.known_values import known_values
from esmm_dist.inference.export_assets.rules import rules
from esmm_dist.inference.export_assets.warmup import WARMUP_FILE, write_warmup
from esmm_dist.inference.export_folder import EXTRA_FOLDER
from esmm_dist.inference.exported_towers import ExportedTowers
from esmm_dist.inference.exported_values import ValueInputs
from esmm_dist.inference.reached_data import ReachedData
from esmm_dist.inference.trained_model import embedding_of
from esmm_dist.served_model.mapped_model import MappedModel

GOLDEN_FILE = "golden.json"
RULES_FILE = "RULES.md"
CLIENT_FILE = "esmm_client.py"

_CLIENT = Path(__file__).parents[2] / "serving/client" / CLIENT_FILE
_FEW_IDS = 1000


def write_assets(
    version: Path,
    mapped: MappedModel,
    checkpoint: Checkpoint,
    towers: ExportedTowers,
    data: ReachedData,
    *,
    with_warmup: bool,
) -> None:
    """Write requests with answers, the rules of ids, the client, and what TensorFlow Serving runs first.

    Args:
        version: folder of the version
        mapped: its rows
        checkpoint: what it was made from
        towers: its networks
        data: the data set, if it is within reach: what values in examples are taken from
        with_warmup: whether the version has a SavedModel

    Raises:
        OSError: The folder cannot be written.
    """
    extra = version / EXTRA_FOLDER
    extra.mkdir(exist_ok=True)
    schema, manifest = checkpoint.manifest.schema, mapped.manifest
    knows = {name: table.knows for name, table in mapped.tables.items()}
    known = known_values(schema, knows, data, {name: _some_ids(mapped, name) for name in schema.tables})
    embedding = embedding_of(checkpoint)
    start = {
        table: StartValues(embedding_dim=embedding.dim_of(table), scale=embedding.start_range, seed=manifest.seed)
        for table in schema.tables
    }
    find = {name: table.find for name, table in mapped.tables.items()}
    model = GoldenModel(schema=schema, towers=towers, start=start, seed=manifest.seed, find=find)
    requests = answered(model, Examples(schema, known).all())
    about: dict[str, Any] = {
        "format": "esmm_dist.golden",
        "format_version": 1,
        "model_id": manifest.model_id,
        "step": manifest.step,
        "fields_without_known_values": [name for name, values in known.items() if not values],
    }
    text = json.dumps(golden(schema, requests, about), indent=1, ensure_ascii=False, allow_nan=False)
    (extra / GOLDEN_FILE).write_text(text + "\n", encoding="utf-8")
    (extra / RULES_FILE).write_text(rules(manifest, known), encoding="utf-8")
    shutil.copyfile(_CLIENT, extra / CLIENT_FILE)
    if with_warmup:
        write_warmup(extra / WARMUP_FILE, requests, ValueInputs(schema, {}))


def _some_ids(mapped: MappedModel, table: str) -> Ids:
    """Return some ids of a table that have a row."""
    for last_bucket in (64, 4096):
        ids = mapped.tables[table].rows_in(0, last_bucket).ids
        if len(ids):
            break
    return np.sort(ids)[:_FEW_IDS]
