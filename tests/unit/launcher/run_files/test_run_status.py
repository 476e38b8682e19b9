"""The state of a run as a file."""

import json

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.storage.folder import Folder
from launcher.run_files.run_status import RunStatus, ServerStatus, WorkerStatus, read_status, write_status

NOW = 1_700_000_000.0


def status_of(**changes):
    values = {
        "run": "run",
        "state": "running",
        "written_at": NOW,
        "started_at": NOW - 61,
        "driver_pid": 5,
        "generation": 4,
        "ranks": 2,
        "max_workers": 4,
        "wanted_workers": 2,
        "step": 1500,
        "total_steps": 3000,
        "impressions_per_second": 12_345.0,
        "checkpoint_step": 1400,
        "checkpoint_at": NOW - 5,
        "restarts": {"worker lost": 2},
        "workers": (
            WorkerStatus(name="worker-0", state="running", pid=77, rank=0, phase="training", step=1500, beat_age_s=0.4),
            WorkerStatus(name="worker-1", state="warming"),
        ),
        "servers": (ServerStatus(index=0, address="h:1", state="slow", silent_s=4.2, step=1499, rows=1234),),
    }
    return RunStatus(**{**values, **changes})


@pytest.fixture
def run(tmp_path):
    return Folder.open(tmp_path)


def test_a_status_is_read_as_it_was_written(run):
    write_status(run, status_of())
    assert read_status(run) == status_of()


def test_a_run_without_status_says_how_one_gets_it(run):
    with pytest.raises(ConfigError, match="it is not an elastic run"):
        read_status(run)


@pytest.mark.parametrize(
    "change",
    [
        {"checkpoint_at": 1e300},
        {"started_at": -1.0},
        {"evaluation": {"step": 3, "split": "test"}},
        {"evaluation": {"step": 3, "split": "test", "auc": {"ctr": 0.5}}},
    ],
)
def test_a_status_of_values_that_mean_nothing_is_an_error(run, change):
    written = json.loads(status_of().to_json())
    run.write_bytes("status.json", json.dumps({**written, **change}).encode())
    with pytest.raises(ConfigError, match=rf"status\.json: .*{next(iter(change))} is "):
        read_status(run)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"run": 3}', b'{"workers": [1]}', b'{"nonsense": 1}'])
def test_a_damaged_status_is_an_error(run, text):
    run.write_bytes("status.json", text)
    with pytest.raises(ConfigError, match=r"status\.json"):
        read_status(run)
