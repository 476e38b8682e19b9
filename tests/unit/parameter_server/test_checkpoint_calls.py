"""Saves, restores and evictions of the open run: what is refused, and that each is done once."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from esmm_dist.embedding.table_files import TableFile
from esmm_dist.errors import CheckpointError, ServerLostError
from esmm_dist.parameter_server.checkpoint_calls import CheckpointCalls
from esmm_dist.parameter_server.config import ServerConfig
from esmm_dist.parameter_server.headers import EvictHeader, OpenHeader, PushHeader, RestoreHeader, SaveHeader
from esmm_dist.parameter_server.refusals import RequestError
from esmm_dist.parameter_server.repeated_calls import RepeatedCalls
from esmm_dist.parameter_server.run_lifecycle import RunLifecycle

FOLDER = "step-00000001"
IDS = np.array([2, 4, 6])


class Server:
    """One server with a run of one rank and one table that has made a step."""

    def __init__(self, location: Path, *, root: str | None = None) -> None:
        self.log: list[str] = []
        repeated = RepeatedCalls()
        config = ServerConfig(index=0, count=1, root=root)
        self.lifecycle = RunLifecycle(config, self.log.append, lambda: 0.0, check_idle=repeated.check_idle)
        self.calls = CheckpointCalls(self.lifecycle, repeated, self.log.append, lambda: 0.0, root=root)
        self.location = str(location)
        self.lifecycle.open_run(
            OpenHeader(
                run="r",
                location=self.location,
                generation=1,
                index=0,
                count=1,
                world_size=1,
                update_mode="sync",
                max_staleness_steps=1,
                first_step=0,
                keep_undo=False,
                tables=("main",),
                embedding={"embedding_dim": 2},
                seed=1,
            )
        )
        push = PushHeader(
            run="r", generation=1, table="main", rows=3, wire="float32", step=1, rank=0, impressions=1, rate_factor=1.0
        )
        run = self.lifecycle.run_of(push)
        run.push(push, run.ticket("main", IDS), np.ones((3, 2), np.float32))
        (location / "checkpoints" / FOLDER).mkdir(parents=True)

    def save(self, **changes: Any) -> list[dict[str, Any]]:
        header = SaveHeader(**{"run": "r", "generation": 1, "step": 1, "folder": FOLDER, **changes})
        files: list[dict[str, Any]] = json.loads(self.calls.save(header))["files"]
        return files

    def restore(self, files: list[dict[str, Any]], **changes: Any) -> int:
        known = {"run": "r", "generation": 1, "step": 1, "location": self.location, "folder": FOLDER}
        header = RestoreHeader(**{**known, **changes}, files=tuple(TableFile(**file) for file in files))
        return int(json.loads(self.calls.restore(header))["rows"])

    def evict(self, rule: dict[str, int], table: str = "main", **changes: Any) -> int:
        header = EvictHeader(**{"run": "r", "generation": 1, "table": table, "rule": rule, **changes})
        return int(json.loads(self.calls.evict(header))["removed"])


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path)
    yield made
    made.lifecycle.close()


def test_what_was_saved_is_restored(server):
    files = server.save()
    assert [(file["table"], file["rows"]) for file in files] == [("main", 3)]
    assert server.evict({"older_than_step": 2}) == 3
    assert server.restore(files) == 3
    size = sum(file["file_bytes"] for file in files)
    assert server.log[1:] == [
        f"Saved 3 rows of step 1 ({size / 1e6:.1f} MB, 0.0 s)",
        "Evicted 3 rows of table main; 0 are left",
        "Restored 3 rows of step 1 (0.0 s)",
    ]


def test_a_call_that_is_made_again_under_its_id_is_answered_and_not_done_again(server):
    rule = {"older_than_step": 2}
    assert [server.evict(rule, call_id="one") for _ in range(2)] == [3, 3]
    assert server.evict(rule, call_id="two") == 0
    files = server.save(call_id="three")
    assert server.save(call_id="three") == files
    assert sum(line.startswith("Saved") for line in server.log) == 1


@pytest.mark.parametrize("folder", ["..", "step-1", "step-00000001/..", "checkpoint-00000001", ".writing-", "/etc"])
def test_a_folder_that_is_no_checkpoint_s_is_refused(server, folder):
    for call in (lambda: server.save(folder=folder), lambda: server.restore([], folder=folder)):
        with pytest.raises(RequestError, match="is not the name of a checkpoint's folder, such as step-00000123"):
            call()


@pytest.mark.parametrize("name", ["../rows.arrow", "a/b", "a\\b", ".hidden", "", "..", "a\0b"])
def test_a_file_whose_name_leads_elsewhere_is_refused_before_rows_are_touched(server, name):
    (file,) = server.save()
    with pytest.raises(RequestError, match="is not the name of a file of a checkpoint"):
        server.restore([file | {"path": name}])
    assert server.lifecycle.run.num_rows == 3


def test_a_place_outside_the_root_is_neither_read_nor_written(tmp_path):
    server = Server(tmp_path / "runs" / "a", root=str(tmp_path / "runs"))
    files = server.save()
    with pytest.raises(RequestError, match="is not below this server's --root"):
        server.restore(files, location=str(tmp_path / "other"))
    server.lifecycle.close()


def test_a_save_of_another_step_than_the_run_s_is_refused(server):
    with pytest.raises(RequestError, match="a checkpoint of step 2 was asked for, but the ranks' pushes have reached"):
        server.save(step=2)


def test_a_run_whose_restore_failed_is_not_whole_until_one_succeeds(server):
    files = server.save()
    with pytest.raises(CheckpointError, match="rows.arrow is missing"):
        server.restore([files[0] | {"path": "rows.arrow"}])
    assert not server.lifecycle.run.is_whole
    assert server.restore(files) == 3
    assert server.lifecycle.run.is_whole


def test_an_eviction_names_a_table_and_a_rule_of_this_run(server):
    with pytest.raises(RequestError, match="the run has no table 'x'. It has: main"):
        server.evict({"older_than_step": 2}, "x")
    with pytest.raises(ServerLostError, match="run 'other' is not open here, run 'r' is"):
        server.evict({"older_than_step": 2}, run="other")
