"""Settings of ``esmm compare`` for tests, and a data set with three splits and its truth."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from esmm_dist.config import build
from launcher.compare.config import CompareConfig
from tests.support.tiny_dataset import Group, tiny_groups, write_dataset

DEFINE = {name: {"model": {"hidden_units": [units]}} for name, units in (("small", 10), ("large", 20))}


_made: dict[tuple[str, ...], tuple[dict[str, list[Group]], dict[Path, bytes]]] = {}


def make_data(folder: Path, *, splits: tuple[str, ...] = ("train", "validation", "test")) -> dict[str, list[Group]]:
    """Write a data set, and return what is in it; files that were written once are written again as they are."""
    if splits not in _made:
        sizes = {"train": 200, "validation": 60, "test": 60}
        groups = {name: tiny_groups(sizes[name], seed=i) for i, name in enumerate(splits)}
        write_dataset(folder, groups)
        files = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        _made[splits] = groups, files
    groups, files = _made[splits]
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return groups


def write_truth(raw: Path, split: str, groups: list[Group], pcvr: float = 0.6, more: int = 0) -> None:
    """Write the truth of impressions, in another order than theirs, and some that the data set lacks."""
    raw.mkdir(exist_ok=True)
    impressions = [each for group in reversed(groups) for each in group.impressions]
    samples = [each.sample_id for each in impressions] + [10**6 + i for i in range(more)]
    click, conversion = ([each.labels[place] for each in impressions] + [0] * more for place in (0, 1))
    probabilities = {"pctr": [0.5] * len(samples), "pcvr": [pcvr] * len(samples)}
    columns = {"sample_id": samples, **probabilities, "click": click, "conversion": conversion}
    pq.write_table(pa.table(columns), raw / f"truth_{split}.parquet")


def compare_config(tmp_path: Path, **changes: Any) -> CompareConfig:
    settings = {
        "data": tmp_path / "data",
        "out": tmp_path / "out",
        "models": ["small", "large"],
        "seeds": 3,
        "jobs": 1,
        "define": DEFINE,
        **changes,
    }
    return build(CompareConfig, settings, where="")
