"""A run that was trained on the shop log: most ids dropped as rare, a table of its own dimension, calibrated."""

from pathlib import Path

from esmm_dist.config import build
from esmm_dist.progress import NoProgress
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from preprocess.config import PreprocessConfig
from preprocess.run import preprocess
from tests.support.shop_log import shop_rows, write_shop_csv, write_shop_schema

RARE = {**shop_rows(1, seed=5)[0], "user id": "nobody", "item": "i999", "category": "new", "price": 1e9, "age": -1}
"""A row whose ids no model has seen"""

TRAIN = [*shop_rows(400), *({**RARE, "row": 900 + number, "item": f"rare{number}"} for number in range(6))]
"""Some items come once"""

TEST = [
    *shop_rows(60, seed=2, first=5001),
    {**RARE, "row": 6001},
    {**shop_rows(1, seed=3)[0], "item": "rare3", "history": ["rare1", "i3", "i3", "unheard"], "row": 6002},
]


def train_shop_run(folder: Path) -> Path:
    """Train on the shop log in ``folder/data``, ids of fewer than 5 impressions left out; return the run."""
    raw = folder / "train"
    raw.mkdir()
    write_shop_csv(raw / "train.csv", TRAIN)
    write_shop_csv(raw / "test.csv", TEST)
    schema = str(write_shop_schema(folder, "csv"))
    preprocess(PreprocessConfig(raw=raw, out=folder / "data", schema=schema, min_count=5), NoProgress())
    settings = {
        "data": folder / "data",
        "run": str(folder / "run"),
        "input": {"epochs": 1},
        "embedding": {"embedding_dim": 4, "start_scale": 0.5, "embedding_learning_rate": 0.5},
        "model": {"hidden_units": [8]},
    }
    train(build(TrainConfig, settings, where="test"), NoProgress())
    return folder / "run"
