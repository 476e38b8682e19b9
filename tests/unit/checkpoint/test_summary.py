"""``esmm checkpoints`` and ``esmm table`` tell what a checkpoint holds, and start without TensorFlow."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from esmm_dist.checkpoint.format import read_checkpoint_manifest
from esmm_dist.checkpoint.reader import open_checkpoint
from esmm_dist.checkpoint.summary import find_rows, summarise_checkpoint
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.placement import bucket_of
from esmm_dist.errors import CheckpointError, ConfigError
from esmm_dist.storage.folder import Folder
from launcher.cli import main
from tests.support.tiny_dataset import tiny_schema
from tests.unit.checkpoint.saved_rows import DENSE, SavedRows, file_of, save, save_rows_alone
from tests.unit.checkpoint.test_read_checkpoint import flip_a_bit, remove, truncate

ROWS = "main-0000-4096.arrow"


def printed(capsys, *line: str) -> tuple[int, str, str]:
    status = main(list(line))
    out, err = capsys.readouterr()
    return status, out, err


def result_of(capsys, *line: str) -> dict:
    status, out, err = printed(capsys, *line, "--json")
    assert status == 0, err
    result = json.loads(out.splitlines()[-1])
    assert isinstance(result, dict)
    return result


class WithCandidates(SavedRows):
    def save(self, folder, *, step):
        folder.write_bytes("main-0000-4096.candidates.arrow", b"ids that are counted")
        candidates = file_of("main-0000-4096.candidates.arrow", b"ids that are counted", rows=7)
        return (*super().save(folder, step=step), replace(candidates, kind="candidates"))


def test_a_summary_tells_what_the_checkpoint_holds(run):
    folder = save(run, 10, WithCandidates(30), settings={"seed": 3, "embedding": {"embedding_dim": 2}, "max_steps": 5})
    summary = summarise_checkpoint(run, 10)
    assert (summary.step, summary.path, summary.schema, summary.state) == (10, str(folder), "tiny", "ok")
    assert summary.saved_at == read_checkpoint_manifest(folder).saved_at
    assert (summary.files, summary.size_bytes) == (4, sum(folder.file_sizes().values()))
    assert (summary.rows, summary.candidates) == ({"main": 30}, {"main": 7})
    assert summary.dense_shapes == {name: array.shape for name, array in DENSE.items()}
    assert summary.settings == {"seed": 3, "embedding": {"embedding_dim": 2}}
    assert summary.metrics == {"ctr": {"auc": 0.75}}


@pytest.mark.parametrize("damage", [flip_a_bit, truncate, remove])
@pytest.mark.parametrize("name", [ROWS, "dense.npz"])
def test_the_summary_of_a_damaged_checkpoint_names_the_file(run, name, damage):
    folder = save(run, 10, SavedRows(30))
    damage(folder, name)
    summary = summarise_checkpoint(run, 10)
    assert summary.state.startswith(f"damaged: {folder}/{name} ")
    assert summary.rows == {"main": 30}


def test_a_checkpoint_that_is_missing_or_has_no_manifest_has_no_summary(local):
    with pytest.raises(CheckpointError, match=f"{local} has no checkpoint of step 7"):
        summarise_checkpoint(local, 7)
    save(local, 10).delete_file("manifest.json")
    with pytest.raises(CheckpointError, match=r"manifest.json is missing"):
        summarise_checkpoint(local, 10)


def test_the_summary_is_printed(local, capsys):
    folder = save(local, 10, WithCandidates(30))
    status, out, _ = printed(capsys, "checkpoints", str(local), "--show", "10")
    assert status == 0
    lines = out.splitlines()
    assert lines[0].startswith("Step 10, saved 20")
    assert lines[0].endswith("+00:00, schema tiny")
    assert lines[1].startswith(f"{folder}: 4 files, ")
    assert lines[2:4] == ["checksums: ok", "metrics: ctr AUC 0.7500"]
    assert [line.split() for line in lines[5:7]] == [["table", "rows", "candidates"], ["main", "30", "7"]]
    assert lines[8].split() == ["2", "dense", "variables,", "7", "values", "shape"]  # 2 · 3 + 1
    assert lines[9].split() == ["model/000/kernel", "2", "×", "3"]
    assert lines[10].split() == ["optimizer/000/iterations", "scalar"]
    assert lines[12:] == ["seed: 3", "embedding: embedding_dim 2"]


def test_list_and_summary_of_a_run_in_a_store_hold_no_credentials(s3, capsys):
    uri = s3.uri("bucket/listed")
    save(Folder.open(uri), 10)
    listed = result_of(capsys, "checkpoints", uri)
    assert listed["run"] == "s3://bucket/listed"
    assert [(c["step"], c["rows"], c["state"]) for c in listed["checkpoints"]] == [(10, 40, "ok by size")]
    shown = result_of(capsys, "checkpoints", uri, "--show", "10")
    assert (shown["checkpoint"]["rows"], shown["checkpoint"]["state"]) == ({"main": 40}, "ok")
    rows = result_of(capsys, "table", uri, "--ids", "1")
    assert "asecret" not in json.dumps([listed, shown, rows])


def test_a_run_without_checkpoints_says_so(local, capsys):
    assert printed(capsys, "checkpoints", str(local))[1] == f"{local} holds no checkpoint yet.\n"
    status, _, err = printed(capsys, "table", str(local), "--ids", "1")
    assert status == 1
    assert f"{local} holds no checkpoint. Train first: esmm train --data DATA --run {local}" in err


def test_a_data_set_or_a_single_checkpoint_in_the_place_of_a_run_is_named(local, capsys):
    local.write_bytes("manifest.json", b"{}")
    message = f"{local} is no run: its manifest.json is that of a data set, or of a single checkpoint. Give as --run"
    for command in (["checkpoints", str(local)], ["table", str(local), "--ids", "1"]):
        status, _, err = printed(capsys, *command)
        assert (status, message in err) == (2, True)
    save(local, 10)  # an older training in a data set's folder is listed all the same
    assert printed(capsys, "checkpoints", str(local))[0] == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "Set either ids or field and value"),
        (["--ids", "1", "--field", "item", "--value", "2"], "Set either ids or field and value"),
        (["--field", "item"], "field and value belong together"),
        (["--field", "itme", "--value", "2"], "has no field 'itme'"),
        (
            ["--field", "item", "--value", "2.5"],
            "value is '2.5', but feature ids of the Ali-CCP form are whole numbers",
        ),
        (["--field", "item", "--value", "2", "--table", "b"], "table is 'b', but field 'item' is in 'main'. Leave"),
    ],
)
def test_a_value_that_names_no_row_is_refused(local, capsys, flags, message):
    save(Folder.open(local), 10, SavedRows())
    status, _, err = printed(capsys, "table", str(local), *flags)
    assert status == 2
    assert message in err


def test_a_value_names_its_row(local, capsys):
    save(Folder.open(local), 10, SavedRows())
    saved = int(SavedRows().rows.ids.max())
    by_id = result_of(capsys, "table", str(local), "--ids", str(saved))
    assert by_id["rows"][0]["row"] is not None
    assert result_of(capsys, "table", f"{local}:10", "--field", "item", "--value", str(saved)) == by_id


@pytest.mark.parametrize("line", [["checkpoints"], ["table", "--ids", "1"]])
def test_a_local_run_that_is_missing_is_a_wrong_setting(local, capsys, line):
    status, _, err = printed(capsys, *line, f"{local}/no")
    assert status == 2
    assert f"run is {local}/no, which is not a folder" in err


def two_tables(run: Folder) -> tuple[EmbeddedStore, np.ndarray]:
    """Save 300 rows of each of two tables, step 5; return the store and the ids."""
    fields = [replace(field, table=table) for field, table in zip(tiny_schema().fields, "aabb", strict=True)]
    schema = tiny_schema(fields=tuple(fields))
    config = EmbeddingConfig(embedding_dim=6, embedding_optimizer="rowwise_adagrad")
    store = EmbeddedStore(schema.tables, config, seed=1)
    ids = np.arange(-100, 200, dtype=np.int64)
    for number, table in enumerate(schema.tables):
        gradients = np.full((300, 6), number + 1, dtype=np.float32)
        store.push(store.prepare(table, ids), gradients, impressions=1, step=5)
    save_rows_alone(run, 5, store, schema=schema)
    return store, ids


def test_rows_are_found_by_id_in_the_order_asked_for(run):
    store, _ = two_tables(run)
    checkpoint = open_checkpoint(run, 5)
    found = find_rows(checkpoint, "b", [7, 1_000_000, -100, 7])
    assert [row.id for row in found] == [7, 1_000_000, -100, 7]
    held = store.export("b", 0, 4096)
    for row in (found[0], found[2], found[3]):
        number = int(np.searchsorted(held.ids, row.id))
        assert row.row == held.rows[number].tolist()
        assert row.slots == held.slots[number].tolist()
        assert (row.last_step, row.count) == (5, 1)
    assert (found[1].row, found[1].slots, found[1].count) == (None, [], 0)
    assert find_rows(checkpoint, "a", [7])[0].row != found[0].row


class TwoFiles(SavedRows):
    """Its second file, of the upper half of the buckets, is damaged."""

    def save(self, folder, *, step):
        (file,) = super().save(folder, step=step)
        folder.write_bytes("main-2048-4096.arrow", b"x" * 8)
        other = file_of("main-2048-4096.arrow", b"y" * 8, rows=1)
        return (replace(file, last_bucket=2048), replace(other, first_bucket=2048))


def test_only_the_files_of_the_buckets_that_are_needed_are_read(run):
    save(run, 10, TwoFiles())
    checkpoint = open_checkpoint(run, 10)
    ids = np.arange(100, dtype=np.int64)
    lower = ids[bucket_of(ids) < 2048]
    assert len(find_rows(checkpoint, None, lower.tolist())) == len(lower)
    with pytest.raises(CheckpointError, match="main-2048-4096.arrow has another checksum"):
        find_rows(checkpoint, None, ids.tolist())


def test_the_table_must_be_named_if_there_are_several(local):
    two_tables(local)
    checkpoint = open_checkpoint(local, 5)
    with pytest.raises(ConfigError, match=r"step-00000005 holds 2 tables. Give one as --table: a, b\."):
        find_rows(checkpoint, None, [1])
    with pytest.raises(ConfigError, match=r"step-00000005 holds no table 'c'. It holds: a, b\."):
        find_rows(checkpoint, "c", [1])


def test_rows_are_printed_with_their_first_columns_and_whole_in_json(local, capsys):
    store, _ = two_tables(local)
    save(local, 10)  # the newest
    status, out, _ = printed(capsys, "table", str(local), "--step", "5", "--table", "b", "--ids=-3,777777")
    assert status == 0
    held = store.export("b", 0, 4096)
    row = held.rows[np.searchsorted(held.ids, -3)]
    lines = out.splitlines()
    assert lines[0] == f"{local}/checkpoints/step-00000005"
    assert lines[2].split()[:6] == ["-3", *(f"{value:.5g}" for value in row[:4]), "…"]
    assert "(6)" in lines[2]
    assert lines[3].split(maxsplit=1) == ["777777", "no row yet: reads the start value"]
    result = result_of(capsys, "table", str(local), "--step", "5", "--table", "b", "--ids=-3,777777")
    assert (result["step"], [each["id"] for each in result["rows"]]) == (5, [-3, 777777])
    assert result["rows"][0]["row"] == row.tolist()
    assert result["rows"][1]["row"] is None
    assert result_of(capsys, "table", str(local), "--ids", "1")["step"] == 10


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ("1,two", "ids is '1,two'. Give whole numbers separated by commas: 1,2,3."),
        ("", "--ids is empty. Give a value"),
        (str(2**63), f"ids holds {2**63}, but feature ids are 64-bit integers."),
    ],
)
def test_ids_that_are_none_are_refused(local, capsys, ids, message):
    status, _, err = printed(capsys, "table", str(local), f"--ids={ids}")
    assert status == 2
    assert message in err


@pytest.mark.parametrize("line", [["checkpoints"], ["checkpoints", "--show", "10"], ["table", "--ids", "1"]])
def test_looking_into_checkpoints_needs_no_tensorflow(local, line):
    save(local, 10)
    code = (
        "import sys; from launcher.cli import main; status = main(sys.argv[1:]);"
        "sys.exit(status or any(name in sys.modules for name in ('tensorflow', 'keras', 'horovod')))"
    )
    done = subprocess.run([sys.executable, "-c", code, *line, str(local)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
