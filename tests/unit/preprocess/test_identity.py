"""What makes two runs, and two data sets, the same."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.progress import NoProgress
from esmm_dist.schema import Field
from preprocess.config import DECIDING, PreprocessConfig
from preprocess.identity import INPUTS, check_same, deciding_settings, run_identity, settings_like
from preprocess.memory_plan import MemoryPlan
from preprocess.read.raw_files import RawFile, write_times
from tests.unit.schema.data_sets import SHOP, data_set, split

CONFIG = PreprocessConfig(raw=Path("raw"), out=Path("out"), schema="own.yaml", min_count=1, group_size=1, lanes=16)
SETTINGS = deciding_settings(CONFIG)
PLAN = MemoryPlan(workers=2, partitions=3, partition_limit_bytes=10**6)
RAW = {"a.csv": RawFile(path=Path("raw/a.csv"), file_bytes=5, changed_ns=7)}
RECORDED = {"a.csv": {"file_bytes": 5, "crc32c": 9}}
MANIFEST = data_set({"train": split(10, 4, 1)}, settings={**SETTINGS, INPUTS: RECORDED})


def test_only_settings_that_change_the_bytes_decide():
    other = replace(CONFIG, workers=7, memory_gb=1.0, max_reject_share=1.0, verify=True, out=Path("elsewhere"))
    assert deciding_settings(other) == SETTINGS
    of_events = replace(CONFIG, open_window="drop", log_end="2024-02-01")
    assert deciding_settings(of_events) == {**SETTINGS, "open_window": "drop", "log_end": "2024-02-01"}
    assert sorted([*SETTINGS, "validation_share", "keep_negatives", "open_window"]) == sorted(DECIDING)
    others: dict[str, Any] = {
        "validation_share": 0.1,
        "keep_negatives": 0.5,
        "seed": 1,
        "lanes": 8,
        "compression": "NONE",
        "shard_bytes": 9,
        "min_count": None,
    }
    for name, value in others.items():
        assert deciding_settings(replace(CONFIG, **{name: value})) == {**SETTINGS, name: value}


def test_a_data_set_passes_on_its_deciding_settings_alone():
    assert settings_like(MANIFEST) == SETTINGS
    assert settings_like(replace(MANIFEST, settings={"seed": 4, "known_ids_crc32c": {}})) == {"seed": 4}


def test_who_attends_to_a_list_decides_nothing_of_a_data_set():
    fields = (*SHOP.fields, Field(name="seen", owner="user", multi_hot=True))
    schema = replace(SHOP, fields=fields)
    attended = replace(SHOP, fields=(*SHOP.fields, replace(fields[-1], attended_by="item")))
    assert run_identity(SETTINGS, attended, RAW, PLAN) == run_identity(SETTINGS, schema, RAW, PLAN)


def test_a_run_continues_with_other_workers_and_not_with_other_pieces_inputs_or_settings():
    identity = run_identity(SETTINGS, SHOP, RAW, PLAN)
    assert run_identity(SETTINGS, SHOP, RAW, replace(PLAN, workers=9, piece_items=1)) == identity
    changed = {"a.csv": replace(RAW["a.csv"], changed_ns=8)}
    others = [
        run_identity(SETTINGS, SHOP, RAW, replace(PLAN, partitions=4)),
        run_identity(SETTINGS, SHOP, RAW, replace(PLAN, chunk_bytes=100)),
        run_identity(SETTINGS, SHOP, changed, PLAN),
        run_identity(SETTINGS, SHOP, {}, PLAN),
        run_identity({**SETTINGS, "seed": 1}, SHOP, RAW, PLAN),
        run_identity(SETTINGS, replace(SHOP, name="other"), RAW, PLAN),
    ]
    assert all(other != identity for other in others)


def check(out: Path, **changes: object) -> None:
    given = {"settings": SETTINGS, "schema": SHOP, "raw": RAW, **changes}
    check_same(out, MANIFEST, progress=NoProgress(), **given)  # type: ignore[arg-type]


def test_a_data_set_of_the_same_settings_schema_and_logs_is_the_same(tmp_path: Path):
    write_times(tmp_path, RAW)
    check(tmp_path)


def test_settings_that_the_log_decides_are_compared_by_what_was_chosen(tmp_path: Path):
    """1, 1 and 16 are what 10 train impressions choose."""
    write_times(tmp_path, RAW)
    check(tmp_path, settings={**SETTINGS, "min_count": None, "group_size": None, "lanes": None})


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"settings": {**SETTINGS, "seed": 3}}, "seed was 17 and is now 3"),
        ({"settings": {**SETTINGS, "known_ids_crc32c": 3}}, "known_ids_crc32c was absent and is now 3"),
        ({"schema": replace(SHOP, name="other")}, "schema: name is 'other', was 'shop'"),
        ({"raw": {}}, "input a.csv is gone"),
        ({"raw": {**RAW, "b.csv": RAW["a.csv"]}}, "input b.csv is new"),
        ({"raw": {"a.csv": replace(RAW["a.csv"], file_bytes=6)}}, "input a.csv had 5 bytes and has 6"),
    ],
)
def test_each_difference_is_named(tmp_path: Path, changes: dict[str, object], difference: str):
    write_times(tmp_path, RAW)
    with pytest.raises(ConfigError) as caught:
        check(tmp_path, **changes)
    assert str(caught.value) == (
        f"{tmp_path} holds a finished data set made with other settings or logs: {difference}. Give another folder, or "
        "delete this one."
    )
