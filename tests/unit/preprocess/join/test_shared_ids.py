"""A field of a flat log with the ids of another one: the items that a user saw before, and the item that is shown."""

from pathlib import Path

import pyarrow.parquet as pq

from esmm_dist.schema.feature_id import feature_id
from tests.unit.preprocess.raw_logs import read_impressions, run

SCHEMA = """
name: own
labels: [click, conversion]
source:
  form: flat
  files: {train: train.csv, test: test.csv}
  labels: {click: clicked, conversion: bought}
fields:
  - {name: user, owner: user}
  - {name: history, owner: user, multi_hot: true, ids_of: item}
  - {name: item, owner: item}
"""
HEADER = "user,history,item,clicked,bought\n"


def write_log(folder: Path) -> tuple[Path, str]:
    (folder / "raw").mkdir()
    rows = ["u1,7|8,9,0,0", "u2,7|7,9,1,0", "u3,9,7,1,1", "u4,,6,0,0"]
    (folder / "raw" / "train.csv").write_text(HEADER + "\n".join(rows) + "\n")
    (folder / "raw" / "test.csv").write_text(HEADER + "u1,6|7|8|9,8,0,0\n")
    (folder / "own.yaml").write_text(SCHEMA)
    return folder / "raw", str(folder / "own.yaml")


def test_history_has_the_ids_of_the_item_and_is_counted_with_it(tmp_path: Path):
    raw, schema = write_log(tmp_path)
    manifest = run(raw, tmp_path / "out", schema=schema, min_count=3)
    item = {n: feature_id("item", str(n)) for n in (6, 7, 8, 9)}
    # Impressions that hold it in the history + as the item: 7: 2 + 1, 9: 1 + 2; 8: 1 + 0 and 6: 0 + 1 are below 3.
    vocabulary = pq.read_table(tmp_path / "out" / manifest.vocabulary_file).to_pylist()
    assert {(row["field"], row["feature_id"]): row["count"] for row in vocabulary} == {
        ("item", item[7]): 3,
        ("item", item[9]): 3,
    }
    assert manifest.vocabulary_size == 2
    (test,) = read_impressions(tmp_path / "out", manifest, "test")
    assert test.user == (("history", item[7], 1.0), ("history", item[9], 1.0))
    assert test.own == ()
    train = read_impressions(tmp_path / "out", manifest, "train")
    assert [i.user for i in train] == [
        (("history", item[7], 1.0),),
        (("history", item[7], 1.0), ("history", item[7], 1.0)),
        (("history", item[9], 1.0),),
        (),
    ]
    assert [i.own for i in train] == [(("item", item[9], 1.0),)] * 2 + [(("item", item[7], 1.0),), ()]
