from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esmm_dist.errors import InputDataError
from esmm_dist.schema.manifest import MANIFEST_NAME, DatasetManifest, Split
from launcher.plan.config import PlanConfig
from launcher.plan.constants import read_constants
from launcher.plan.run import make_cluster, make_workload, plan_command
from tests.support.tiny_dataset import tiny_schema
from tests.unit.launcher.commands.played_context import CONTEXT

CONSTANTS = read_constants(None)


def data_set(folder: Path, **changes: object) -> Path:
    """Write what a plan reads of a data set: 100 impressions in 50 records, one user id and two item ids."""
    field = pa.array(["user", "item", "item"]).dictionary_encode()
    counts = pa.array([100, 50, 50])
    pq.write_table(pa.table({"feature_id": [1, 2, 3], "field": field, "count": counts}), folder / "vocabulary.parquet")
    train = Split(records=50, impressions=100, label_counts={}, broken_chains={}, shards=())
    manifest = DatasetManifest(
        schema=tiny_schema(),
        compression="NONE",
        lanes=1,
        group_size=2,
        splits={"train": train},
        vocabulary_file="vocabulary.parquet",
        vocabulary_size=3,
    )
    (folder / MANIFEST_NAME).write_text(replace(manifest, **cast(Any, changes)).to_json())
    return folder


def test_a_data_set_says_how_large_the_log_is(tmp_path: Path):
    workload = make_workload(PlanConfig(data=data_set(tmp_path), batch_impressions=10), CONSTANTS)
    assert (workload.impressions, workload.ids, workload.group_size) == (100, 3, 2)
    assert (workload.ids_per_user, workload.ids_per_impression) == (1, 1)
    assert workload.share(1).ids == 5 * (1 + 2 * 1)
    assert workload.share(1).unique_ids == pytest.approx(1 + 2 * (1 - 0.5**10))  # an item in half of the impressions
    assert workload.towers.inputs == 4 * 16  # four fields
    assert workload.slot_columns == 16  # Adagrad


@pytest.mark.parametrize(
    ("given", "columns", "towers"),
    [
        ({}, 16, 2),
        ({"objective": "base"}, 32, 2),
        ({"objective": "base", "share_embeddings": True}, 16, 2),
        ({"objective": "dcmt"}, 16, 3),
        ({"objective": "escm2-dr", "share_embeddings": False}, 48, 3),
    ],
)
def test_the_objective_says_how_wide_rows_are_and_how_many_towers_there_are(given, columns, towers, tmp_path: Path):
    workload = make_workload(PlanConfig(data=data_set(tmp_path), **given), CONSTANTS)
    assert (workload.dim, workload.slot_columns) == (columns, columns)
    assert (workload.towers.labels, workload.towers.inputs) == (towers, 4 * 16)  # each tower sees 16 columns a field


def test_flags_go_before_the_data_set(tmp_path: Path):
    settings = PlanConfig(data=data_set(tmp_path), impressions=10**9, ids=10**8, group_size=4, fields=9, labels=3)
    workload = make_workload(settings, CONSTANTS)
    assert (workload.impressions, workload.ids, workload.group_size) == (10**9, 10**8, 4)
    assert (workload.towers.inputs, workload.towers.labels) == (9 * 16, 3)


def test_without_a_data_set_ids_follow_a_power_law():
    settings = PlanConfig(impressions=10**6, ids=10**6, ids_per_user=600, ids_per_impression=10, optimizer="adam")
    workload = make_workload(settings, CONSTANTS)
    share = workload.share(1)
    assert share.ids == 512 * (600 + 8 * 10)
    assert 0 < share.unique_ids < share.ids
    assert workload.slot_columns == 32  # Adam's two moments


def test_a_data_set_without_train_impressions_cannot_be_planned_for(tmp_path: Path):
    data = data_set(tmp_path, splits={})
    with pytest.raises(InputDataError, match="has no train impressions, so there is nothing to plan for"):
        make_workload(PlanConfig(data=data), CONSTANTS)


def test_a_data_set_with_the_ids_of_a_run_cannot_be_planned_for(tmp_path: Path):
    data = data_set(tmp_path, vocabulary_size=0)
    with pytest.raises(InputDataError, match="Leave --data out and set --impressions 100 and --ids"):
        make_workload(PlanConfig(data=data), CONSTANTS)


def test_values_travel_in_the_bytes_of_the_wire():
    assert make_cluster(PlanConfig(impressions=1, ids=1)).wire_bytes == 4
    assert make_cluster(PlanConfig(impressions=1, ids=1, wire="bfloat16")).wire_bytes == 2


def test_the_command_plans_what_is_given_and_suggests_what_is_better():
    given = PlanConfig(impressions=10**8, ids=10**9, workers=1, servers=1, server_memory_gb=32)
    outcome = plan_command(given, CONTEXT)
    assert outcome.done
    assert outcome.result["plan"]["cluster"]["servers"] == 1
    assert outcome.result["suggestion"]["cluster"]["servers"] > 5  # a billion rows are more than 150 GB
    assert any(line.startswith("Warning: a server needs") for line in outcome.lines)


def test_without_numbers_the_suggestion_is_planned():
    outcome = plan_command(PlanConfig(impressions=10**6, ids=10**5), CONTEXT)
    assert outcome.result["plan"]["cluster"] == outcome.result["suggestion"]["cluster"]
