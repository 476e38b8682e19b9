"""The lines of a day, as a user would type them."""

from pathlib import Path

import pytest

from launcher.pipeline.config import PipelineTraining
from launcher.pipeline.lines import DayLines
from launcher.pipeline.places import Places, open_places
from tests.unit.launcher.pipeline.pipelines import DAY_1, DAY_2, pipeline


def lines(before=DAY_1, places=None, **settings) -> DayLines:
    places = places or Places(work="w", local=Path("w"))
    return DayLines(config=pipeline(**settings), places=places, day=DAY_2, before=before)


def test_the_first_data_set_is_made_by_the_schema_and_the_next_like_the_day_before():
    assert lines(before=None).preprocess().line == (
        "esmm preprocess place/raw/2022-04-26 w/days/2022-04-26/data --config w/preprocess.yaml --schema aliccp"
    )
    assert lines().preprocess().line == (
        "esmm preprocess place/raw/2022-04-26 w/days/2022-04-26/data --config w/preprocess.yaml "
        "--like w/days/2022-04-25/data"
    )


def test_a_log_of_many_days_gives_its_day():
    assert lines(raw="log").preprocess().line == (
        "esmm preprocess log w/days/2022-04-26/data --config w/preprocess.yaml --like w/days/2022-04-25/data "
        "--days 2022-04-26"
    )


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({}, "esmm train --config w/train.yaml"),
        ({"workers": 2, "servers": 1}, "esmm local --workers 2 --servers 1 -- --config w/train.yaml"),
        ({"servers": 2}, "esmm local --workers 1 --servers 2 -- --config w/train.yaml"),
        (
            {"workers": 3, "servers": 1, "min_workers": 1},
            "esmm local --workers 3 --servers 1 --min-workers 1 -- --config w/train.yaml",
        ),
    ],
)
def test_a_day_is_trained_on_by_as_many_processes_as_are_set(training, expected):
    line = lines(train=PipelineTraining(**training)).train().line
    assert line == f"{expected} --data w/days/2022-04-26/data --run w/run --continue --eval-first"


def test_both_models_are_measured_on_the_same_split():
    new = lines().evaluate(90, "validation").line
    assert new == ("esmm evaluate --run w/run --step 90 --data w/days/2022-04-26/data --split validation --no-baseline")
    assert lines().evaluate(50, "validation", in_service=True).line == new.replace("90", "50")


def test_models_are_measured_and_exported_without_calibration_if_it_is_off():
    steps = [lines(calibrate=False).evaluate(90, "test"), lines(calibrate=False).export(90)]
    assert all(step.line.endswith(" --no-calibrate") for step in steps)
    assert lines().export(90).line == "esmm export --run w/run --step 90 --out w/days/2022-04-26/model"


def test_what_is_in_service_is_pinned():
    assert lines().pin(90).line == "esmm checkpoints w/run --pin 90"
    assert lines().unpin(50).line == "esmm checkpoints w/run --unpin 50"


def test_training_reads_copies_of_what_is_in_a_store():
    places = Places(work="s3://bucket/w?region=eu", local=Path("/big/scratch"))
    of_day = lines(places=places)
    assert of_day.preprocess().args[2] == "s3://bucket/w/days/2022-04-26/data?region=eu"
    assert of_day.preprocess().args[-1] == "s3://bucket/w/days/2022-04-25/data?region=eu"
    assert of_day.copy().args == [
        *("copy", "s3://bucket/w/days/2022-04-26/data?region=eu", "/big/scratch/days/2022-04-26/data")
    ]
    words = of_day.train().args
    assert words[words.index("--data") + 1] == "/big/scratch/days/2022-04-26/data"
    assert words[words.index("--run") + 1] == "s3://bucket/w/run?region=eu"
    assert places.copies_data


def test_a_folder_of_a_disk_is_its_own_place_for_what_training_reads(tmp_path):
    for work in (f"{tmp_path}/work", f"file://{tmp_path}/work"):
        with open_places(pipeline(tmp_path, work=work)) as places:
            assert (places.work, places.local) == (f"{tmp_path}/work", tmp_path / "work")
            assert not places.copies_data


def test_copies_lie_where_the_settings_or_the_environment_say(s3, tmp_path, monkeypatch):
    work = s3.uri("bucket/work")
    monkeypatch.delenv("ESMM_SCRATCH", raising=False)
    with open_places(pipeline(tmp_path, work=work)) as places:
        assert places.local.is_dir()
    assert not places.local.exists()
    monkeypatch.setenv("ESMM_SCRATCH", str(tmp_path / "scratch"))
    with open_places(pipeline(tmp_path, work=work)) as places:
        assert places.local.parent == tmp_path / "scratch"
    assert places.local.is_dir()
    with open_places(pipeline(tmp_path, work=work, scratch=tmp_path / "other")) as places:
        assert places.local.parent == tmp_path / "other"
