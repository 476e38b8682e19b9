"""Labels of logs whose funnels are longer than two, or branch."""

from pathlib import Path

import numpy as np
import pytest

from esmm_dist.schema.label_tree import LabelTree
from tests.unit.preprocess.raw_logs import read_impressions, run

SCHEMA = """
name: funnel
labels: [{labels}]
source:
  form: flat
  files: {{train: "*.csv"}}
  sample_id: id
  labels: {{{columns}}}
fields:
  - {{name: user, owner: user}}
  - {{name: item, owner: item}}
"""

LABELS = {
    "a chain": ("click", "cart", "order"),
    "two branches": ("click", "order", "favourite after click"),
    "a branch within": ("click", "cart", "order", "favourite after click", "share after order"),
    "a chain that is spelt out": ("click", "cart after click", "order after cart"),
}


def write_log(folder: Path, labels: tuple[str, ...], values: np.ndarray) -> Path:
    names = [label.partition(" ")[0] for label in labels]
    lines = [",".join(["id", "user", "item", *(f"is_{name}" for name in names)])]
    lines += [f"{i + 1},u{i % 7},i{i % 11},{','.join(map(str, row))}" for i, row in enumerate(values)]
    (folder / "raw").mkdir()
    (folder / "raw" / "log.csv").write_text("\n".join(lines) + "\n")
    columns = ", ".join(f"{name}: is_{name}" for name in names)
    (folder / "own.yaml").write_text(SCHEMA.format(labels=", ".join(labels), columns=columns))
    return folder / "own.yaml"


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_count_along_their_path_and_the_others_are_counted(tmp_path: Path, labels: tuple[str, ...]):
    values = np.random.default_rng(len(labels)).integers(0, 2, (300, len(labels)))
    schema = write_log(tmp_path, labels, values)
    manifest = run(tmp_path / "raw", tmp_path / "out", schema=str(schema))
    tree = manifest.schema.label_tree
    counted = values.copy()
    for row in counted:  # parents stand before
        for label, parent in enumerate(tree.parents):
            if parent >= 0 and not row[parent]:
                row[label] = 0
    split = manifest.splits["train"]
    assert split.label_counts == dict(zip(tree.names, counted.sum(axis=0).tolist(), strict=True))
    left = (values - counted).sum(axis=0).tolist()
    assert left[0] == 0 < min(left[1:])
    assert split.broken_chains == dict(zip(tree.names[1:], left[1:], strict=True))
    written = {i.sample_id: i.labels for i in read_impressions(tmp_path / "out", manifest, "train")}
    assert written == {i + 1: tuple(row) for i, row in enumerate(counted.tolist())}


def test_a_chain_that_is_spelt_out_is_the_chain_to_the_last_byte(tmp_path: Path):
    values = np.random.default_rng(1).integers(0, 2, (60, 3))
    shards = []
    for name, labels in (("short", LABELS["a chain"]), ("long", LABELS["a chain that is spelt out"])):
        (tmp_path / name).mkdir()
        schema = write_log(tmp_path / name, labels, values)
        manifest = run(tmp_path / name / "raw", tmp_path / name / "out", schema=str(schema))
        assert manifest.schema.label_tree == LabelTree.of(("click", "cart", "order"))
        shards.append([(shard.path, shard.crc32c) for shard in manifest.splits["train"].shards])
    assert shards[0] == shards[1]
