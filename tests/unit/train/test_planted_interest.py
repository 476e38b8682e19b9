"""A log in which a click depends on whether the item's category is one of those that the user saw."""

import json
from pathlib import Path

import numpy as np
import pytest

from esmm_dist.config import build
from esmm_dist.progress import NoProgress
from esmm_dist.schema.fields import Field
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from tests.support.tiny_dataset import Group, Impression, tiny_schema, write_dataset

CATEGORIES = 40
SCHEMA = tiny_schema(
    fields=(
        Field(name="seen", owner="user", multi_hot=True, attended_by="category"),
        Field(name="category", owner="item"),
    )
)


def interested_groups(number: int, *, seed: int) -> list[Group]:
    """Return users with 1 to 11 of 40 categories, who click a category of theirs 9 times in 10, and another 1 in 10.

    Categories of both fields have the same ids, and so the same rows.
    """
    random, groups = np.random.default_rng(seed), []
    for user in range(number):
        seen = random.choice(CATEGORIES, random.integers(1, 12), replace=False)
        impressions = []
        for place in range(4):
            category = int(random.choice(seen) if random.random() < 0.5 else random.integers(CATEGORIES))
            click = int(random.random() < (0.9 if category in seen else 0.1))
            conversion = click * int(random.random() < 0.5)
            sample_id = seed * 1_000_000 + user * 4 + place
            fields = [[(category, 1.0)]]
            impressions.append(Impression(sample_id=sample_id, labels=(click, conversion), fields=fields))
        groups.append(Group(fields=[[(int(category), 1.0) for category in seen]], impressions=impressions))
    return groups


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interest")
    splits = {"train": interested_groups(2000, seed=1), "test": interested_groups(500, seed=2)}
    write_dataset(folder, splits, schema=SCHEMA)
    return folder


def ctr_auc(data: Path, run: Path, network: str) -> float:
    settings = {
        "data": data,
        "run": str(run),
        "input": {"global_batch_records": 64, "epochs": 20},
        "embedding": {"embedding_dim": 8, "embedding_learning_rate": 0.1},
        "model": {"network": network, "hidden_units": [16], "linear_scale": 0.0},
        "dense": {"dense_learning_rate": 0.01},
        "evaluation": {"baseline": False},
    }
    train(build(TrainConfig, settings, where="test"), NoProgress())
    return float(json.loads((run / "metrics.json").read_text())["newest"]["metrics"]["ctr"]["auc"])


@pytest.mark.slow  # its short form: networks/test_din.py compares attention with the formula
def test_attention_learns_what_a_sum_over_the_list_hides(data, tmp_path):
    # The best AUC is 0.90: of clicks 92% have a category that was seen, of the others 13%
    din, mlp = (ctr_auc(data, tmp_path / network, network) for network in ("din", "mlp"))
    assert din > 0.86
    assert mlp < 0.78
