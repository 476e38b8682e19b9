"""The towers of a served model, loaded without this project, give predict's probabilities of rows pooled by ours."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from esmm_dist.calibration.logit_transform import LogitTransform
from esmm_dist.config import build
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.inference.exported_towers import ExportedTowers
from esmm_dist.inference.probabilities import probabilities
from esmm_dist.inference.scoring import Scorer
from esmm_dist.inference.served_export import write_towers
from esmm_dist.input.config import InputConfig
from esmm_dist.input.order import RankShare
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.forward import CompiledForward
from esmm_dist.model.inputs import model_inputs
from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.schema.fields import Field
from tests.support.tiny_dataset import tiny_groups, tiny_schema, write_dataset

SCHEMA = tiny_schema(
    fields=(
        Field(name="user", owner="user"),
        Field(name="history", owner="user", multi_hot=True, weighted=True, combiner="mean", max_ids=3),
        Field(name="item", owner="item", table="items"),
        Field(name="tags", owner="item", multi_hot=True, combiner="sqrtn"),
    )
)

CLEAN_PROCESS = """
import importlib.abc, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"esmm_dist", "launcher", "tensorflow_recommenders_addons", "horovod"}:
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocked())
import numpy as np
import tensorflow as tf
towers, given, out = sys.argv[1:]
inputs = {name: tf.constant(values) for name, values in np.load(given).items()}
found = tf.saved_model.load(towers).signatures["towers"](**inputs)
np.savez(out, **{name: values.numpy() for name, values in found.items()})
"""


@pytest.mark.parametrize(
    "settings",
    [{"network": "din", "attend": ["history=tags"], "linear_scale": 0.5, "linear_lists": "unit"}, {}],
    ids=["attends to a list, linear term with norms", "plain"],
)
def test_towers_alone_give_the_scores_of_predict_for_pooled_rows(tmp_path: Path, settings: dict[str, object]):
    manifest = write_dataset(tmp_path / "data", {"test": tiny_groups(8)}, schema=SCHEMA)
    embedding = EmbeddingConfig(embedding_dim=4, embedding_dim_by_table={"items": 6}, start_scale=1.0)
    config = build(ModelConfig, {"hidden_units": [5], **settings}, where="test")
    model = Esmm(SCHEMA, embedding, config, seed=1)
    transform = LogitTransform.of(0.5, None)
    store = EmbeddedStore(SCHEMA.tables, embedding, seed=1)
    scorer = Scorer(schema=SCHEMA, store=store, forward=CompiledForward(model), transform=transform)
    share = RankShare(rank=0, world_size=1)
    reader = BatchReader(tmp_path / "data", manifest, "test", InputConfig(global_batch_records=8), share=share)
    [batch] = reader.epoch(0, seed=None)
    pulled = scorer.pull(batch)
    expected = probabilities(scorer.score(pulled), SCHEMA.label_tree)

    tensors = model_inputs(*pulled, with_norms=model.uses_norms).tensors
    inputs = {"group_of_impression": tensors.group_of_impression, "num_groups": tensors.num_groups}
    inputs |= {f"pooled_{i}": tensors.pooled[table] for i, table in enumerate(SCHEMA.tables)}
    inputs |= {f"norms_{i}": tensors.norms[table] for i, table in enumerate(SCHEMA.tables) if tensors.norms}
    towers = ExportedTowers(SCHEMA, model, transform)
    assert len(towers.lists) == len(tensors.lists) == (1 if settings else 0)
    for j, name in enumerate(towers.lists):
        inputs |= {f"list_lengths_{j}": tensors.lists[name].lengths, f"list_weights_{j}": tensors.lists[name].weights}

    files = write_towers(towers, tmp_path)
    for file in files:
        path = tmp_path / "served" / file.path
        assert (file.file_bytes, file.crc32c) == (path.stat().st_size, file_crc32c(path))
    assert {file.path for file in files} >= {"towers/saved_model.pb", "towers/variables/variables.index"}
    np.savez(tmp_path / "given.npz", **{name: tensor.numpy() for name, tensor in inputs.items()})
    arguments = [tmp_path / "served/towers", tmp_path / "given.npz", tmp_path / "found.npz"]
    line = [sys.executable, "-I", "-c", CLEAN_PROCESS, *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "found.npz") as found:
        assert sorted(found) == sorted(SCHEMA.label_tree.columns)
        for name, column in zip(SCHEMA.label_tree.columns, expected, strict=True):
            np.testing.assert_allclose(found[name], column, rtol=1e-6)
