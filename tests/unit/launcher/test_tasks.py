"""The table of tasks: what commands and job files both read."""

import dataclasses
from pathlib import Path
from typing import get_args

import pytest

from launcher.commands import COMMANDS
from launcher.tasks import TASKS, TaskName
from tests.support.tiny_dataset import tiny_groups, write_dataset


def test_every_name_of_a_task_has_a_row_and_a_command():
    assert set(TASKS) == set(get_args(TaskName))
    assert set(TASKS) <= set(COMMANDS)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_has_a_frozen_settings_class_which_has_the_settings_that_lead_to_stores(name):
    cls = TASKS[name].load_settings()
    assert dataclasses.is_dataclass(cls)
    assert vars(cls)["__dataclass_params__"].frozen
    assert set(TASKS[name].stored) <= {f.name for f in dataclasses.fields(cls)}


@pytest.mark.parametrize("name", TASKS)
def test_a_command_has_the_settings_and_the_places_of_its_task(name):
    assert COMMANDS[name].load_settings() is TASKS[name].load_settings()
    assert COMMANDS[name].stored is TASKS[name].stored


@pytest.mark.parametrize("name", TASKS)
def test_no_task_reads_and_writes_at_one_place_and_only_what_is_written_belongs_to_somebody(name):
    for place in TASKS[name].stored.values():
        assert place.use == "write" or (place.told_by is None and place.damage is None)


@pytest.fixture
def data_set(tmp_path: Path):
    write_dataset(tmp_path, {"train": tiny_groups(12), "test": tiny_groups(4)})
    damage = TASKS["preprocess"].stored["out"].damage
    assert damage is not None
    sizes = {str(path.relative_to(tmp_path)): path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()}
    shards = sorted(name for name in sizes if name.endswith(".tfrecord"))
    assert len(shards) >= 2
    return tmp_path, damage, sizes, shards


def test_a_data_set_whose_files_are_all_in_the_store_is_whole(data_set):
    folder, damage, sizes, _ = data_set
    assert damage(folder, sizes) is None


def test_a_shard_that_is_missing_in_the_store_is_named(data_set):
    folder, damage, sizes, shards = data_set
    del sizes[shards[0]]
    assert damage(folder, sizes) == f"{shards[0]} is missing or has another size (1 such files)"


def test_shards_of_another_size_are_counted(data_set):
    folder, damage, sizes, shards = data_set
    changed = {name: size + (name in shards[:2]) for name, size in sizes.items()}
    found = damage(folder, changed)
    assert found is not None
    assert found.endswith("is missing or has another size (2 such files)")


def test_a_folder_without_a_manifest_is_left_to_preprocess_which_says_what_is_wrong(tmp_path):
    damage = TASKS["preprocess"].stored["out"].damage
    assert damage is not None
    assert damage(tmp_path, {}) is None
