"""The state of a pipeline: read back as it was written, and refused if it is damaged."""

import json

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.storage.folder import Folder
from launcher.pipeline.state import STATE_NAME, DayState, PipelineState, StateFile, StepState, VersionState
from tests.unit.launcher.pipeline.pipelines import DAY_1, DAY_2

VERSION = VersionState(version=1, day=str(DAY_1), step=90, metrics={"ctr": {"auc": None}}, checksum="00c0ffee")


def some_state() -> PipelineState:
    state = PipelineState(versions=(VERSION,), pinned=(90,))
    state.days[str(DAY_1)] = DayState(
        steps={"train": StepState(key="k", result={"step": 90})}, begun="id", version=1, published=True
    )
    state.day(DAY_2)
    return state


@pytest.fixture
def work(tmp_path):
    folder = Folder.open(tmp_path)
    folder.make()
    return folder


def test_a_state_is_read_as_it_was_written(work):
    StateFile(work).write(some_state())
    found = StateFile(work).read()
    assert found == some_state()
    assert found.in_service == VERSION
    assert found.begun_days == [DAY_1]


def test_a_new_pipeline_has_done_nothing(work):
    state = StateFile(work).read()
    assert (state.days, state.in_service, state.begun_days) == ({}, None, [])


def test_numbers_that_json_lacks_become_null(work):
    state = PipelineState(
        versions=(VersionState(version=1, day="d", step=1, metrics={"auc": float("nan")}, checksum=""),)
    )
    StateFile(work).write(state)
    assert StateFile(work).read().versions[0].metrics == {"auc": None}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "pipeline.json is damaged .*Restore it from a backup, or begin in another folder"),
        (b'{"format_version": 2}', "has format version 2; this program reads 1. Install the version that wrote it"),
        (b'{"format_version": 1, "dais": {}}', "unknown setting 'dais'"),
    ],
)
def test_a_state_that_cannot_be_used_is_named(work, content, message):
    work.write_bytes(STATE_NAME, content)
    with pytest.raises(ConfigError, match=message):
        StateFile(work).read()


def test_the_form_of_version_1_stays_readable(work):
    step = {"key": "k", "result": {"passed": True}}
    stored = {
        "days": {"2022-04-25": {"steps": {"gate": step}, "begun": None, "version": None, "published": False}},
        "versions": [{"version": 3, "day": "2022-04-25", "step": 9, "metrics": {}, "checksum": "x"}],
        "pinned": [9],
        "format": "esmm_dist.pipeline",
        "format_version": 1,
    }
    work.write_bytes(STATE_NAME, json.dumps(stored).encode())
    found = StateFile(work).read()
    assert found.days["2022-04-25"].steps["gate"].result == {"passed": True}
    assert found.in_service is not None
    assert found.in_service.version == 3
