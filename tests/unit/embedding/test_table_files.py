"""Files of rows and candidates: bit for bit, in pieces, and only the buckets that are asked for."""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import google_crc32c
import numpy as np
import pyarrow as pa
import pytest

from esmm_dist import hashing
from esmm_dist.arrays import Ids
from esmm_dist.embedding import table_files
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.placement import bucket_of, bucket_ranges_within
from esmm_dist.embedding.table import EmbeddingTable
from esmm_dist.embedding.table_files import read_rows, restore_table, save_table
from esmm_dist.embedding.table_rows import Candidates, TableRows
from esmm_dist.errors import CheckpointError, CheckpointMismatchError, StorageError
from esmm_dist.kernels import bucket_groups
from esmm_dist.storage.folder import Folder

ADAM = EmbeddingConfig(embedding_dim=2, embedding_optimizer="adam")
ALL = (0, 4096)


@pytest.fixture
def folder(tmp_path) -> Folder:
    folder = Folder.open(tmp_path / "rows")
    folder.make()
    return folder


def filled(rows: int, config: EmbeddingConfig = ADAM) -> EmbeddingTable:
    random, table = np.random.default_rng(1), EmbeddingTable("t", config, seed=1)
    table.load(
        TableRows(
            ids=np.sort(random.choice(100_000, rows, replace=False)).astype(np.int64) - 50_000,
            rows=random.normal(size=(rows, 2)).astype(np.float32),
            slots=random.normal(size=(rows, table.slot_columns)).astype(np.float32),
            last_step=random.integers(1, 99, rows),
            count=random.integers(1, 9, rows),
        )
    )
    return table


def assert_same(found: EmbeddingTable, expected: EmbeddingTable) -> None:
    for column in ("ids", "rows", "slots", "last_step", "count"):
        one, other = (getattr(table.export(*ALL), column) for table in (found, expected))
        assert (one.dtype, one.tobytes()) == (other.dtype, other.tobytes())


@pytest.mark.parametrize(
    ("rows", "a_file", "files"),
    [(1000, 250_000, 1), (1000, 250, 4), (1001, 250, 5), (0, 250, 1)],
)
def test_rows_come_back_bit_for_bit_in_as_many_files_as_their_number_asks_for(folder, monkeypatch, rows, a_file, files):
    monkeypatch.setattr(table_files, "_ROWS_A_FILE", a_file)
    monkeypatch.setattr(table_files, "_ROWS_A_BATCH", 70)
    table, back = filled(rows), EmbeddingTable("t", ADAM, seed=1)
    written = save_table(folder, table, *ALL)
    assert len(written) == files
    assert sum(file.rows for file in written) == rows
    restore_table(folder, back, written, ALL, step=100)
    assert_same(back, table)


def test_rows_that_several_threads_load_are_those_that_were_given():
    random, rows = np.random.default_rng(1), 20_000
    given = TableRows(
        ids=np.arange(rows),
        rows=random.normal(size=(rows, 2)).astype(np.float32),
        slots=random.normal(size=(rows, 4)).astype(np.float32),
        last_step=random.integers(1, 99, rows),
        count=random.integers(1, 9, rows),
    )
    table = EmbeddingTable("t", ADAM, seed=1)
    table.load(dataclasses.replace(given, ids=given.ids - rows))
    table.load(given)
    found = table.export(*ALL)
    for column in ("ids", "rows", "slots", "last_step", "count"):
        np.testing.assert_array_equal(getattr(found, column)[rows:], getattr(given, column))


def test_values_that_are_no_numbers_come_back_too(folder):
    table, back = filled(3), EmbeddingTable("t", ADAM, seed=1)
    table._values.rows[0, :6] = [np.nan, -0.0, np.inf, np.float32(1e-45), 0.0, -np.inf]
    restore_table(folder, back, save_table(folder, table, *ALL), ALL, step=100)
    assert_same(back, table)


def test_the_same_rows_give_the_same_bytes_whatever_their_order_in_memory(folder, tmp_path):
    one, other = filled(500), EmbeddingTable("t", ADAM, seed=1)
    rows, order = one.export(*ALL), np.random.default_rng(2).permutation(500)
    shuffled = {name: getattr(rows, name)[order] for name in ("ids", "rows", "slots", "last_step", "count")}
    other.load(TableRows(**shuffled))
    second = Folder.open(tmp_path / "second")
    second.make()
    assert save_table(folder, one, *ALL) == save_table(second, other, *ALL)


def test_a_file_has_the_bytes_that_arrow_gives_its_rows_in_the_order_of_their_ids(folder, monkeypatch):
    monkeypatch.setattr(table_files, "_ROWS_A_FILE", 300)
    monkeypatch.setattr(table_files, "_ROWS_A_BATCH", 70)
    table = filled(1000)
    ids, values = table._ids.rows[:1000, 0], table._values.rows[:1000]
    files = save_table(folder, table, *ALL)
    assert [(file.first_bucket, file.last_bucket) for file in files] == bucket_ranges_within(*ALL, parts=4)
    for file in files:
        inside = np.flatnonzero((bucket_of(ids) >= file.first_bucket) & (bucket_of(ids) < file.last_bucket))
        chosen = inside[np.argsort(ids[inside])]
        steps_and_counts = values.view(np.int32)[chosen, 6:].astype(np.int64)
        columns = {
            "id": pa.array(ids[chosen]),
            "row": pa.FixedSizeListArray.from_arrays(values[chosen, :2].reshape(-1), 2),
            "slots": pa.FixedSizeListArray.from_arrays(values[chosen, 2:6].reshape(-1), 4),
            "last_step": pa.array(steps_and_counts[:, 0]),
            "count": pa.array(steps_and_counts[:, 1]),
        }
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, pa.table(columns).schema) as writer:
            writer.write_table(pa.table(columns), max_chunksize=70)
        data = sink.getvalue().to_pybytes()
        assert (folder.local_path / file.path).read_bytes() == data
        assert (file.rows, file.file_bytes, file.crc32c) == (len(chosen), len(data), google_crc32c.value(data))


def test_a_save_hashes_each_id_once_however_many_files_it_writes(folder, monkeypatch):
    hashed = []

    def counted(name: str, function: Callable[..., Any]) -> None:
        def call(ids: Ids, *others: Any) -> Any:
            hashed.append(len(ids))
            return function(ids, *others)

        monkeypatch.setattr(name, call)

    counted("esmm_dist.embedding.bucket_places.group_by_bucket", bucket_groups.group_by_bucket)
    counted("esmm_dist.embedding.placement.mix64", hashing.mix64)
    monkeypatch.setattr(table_files, "_ROWS_A_FILE", 50)
    table = filled(1000, dataclasses.replace(ADAM, admit_after=2))
    table.load_candidates(
        Candidates(ids=np.array([200_000, 200_001]), impressions=np.array([1, 1]), last_step=np.array([1, 1]))
    )
    assert len(save_table(folder, table, *ALL)) == 21
    assert sum(hashed) == 1000 + 2


def test_a_disk_that_refuses_a_file_is_not_tried_with_all_others(folder, monkeypatch):
    tried = []

    @contextmanager
    def refusing(folder: Folder, name: str) -> Iterator[None]:
        tried.append(name)
        raise StorageError(f"{name} cannot be written")
        yield

    monkeypatch.setattr(table_files, "checksummed_output", refusing)
    monkeypatch.setattr(table_files, "_ROWS_A_FILE", 10)
    with pytest.raises(StorageError, match="t-0000-0040.arrow cannot be written"):
        save_table(folder, filled(1000), *ALL)
    assert len(tried) <= 3


def test_what_is_read_of_a_file_stays_while_the_next_one_is_read_ahead(folder, monkeypatch):
    read, second_is_read = table_files._read, threading.Event()

    def counted(folder: Folder, file: table_files.TableFile, memory: Any) -> pa.Table:
        found = read(folder, file, memory)
        if file is files[1]:
            second_is_read.set()
        return found

    monkeypatch.setattr(table_files, "_ROWS_A_FILE", 400)
    monkeypatch.setattr(table_files, "_read", counted)
    files = sorted(save_table(folder, filled(1000), *ALL), key=lambda file: -file.file_bytes)  # the second one fits
    assert len(files) == 3
    ahead = table_files._read_ahead(folder, files)
    _, arrow = next(ahead)
    assert second_is_read.wait(30)
    np.testing.assert_array_equal(arrow["id"].to_numpy(), read_rows(folder, files[0]).ids)
    assert [file for file, _ in ahead] == files[1:]


@pytest.mark.parametrize("first_bucket", [0, 1000, 4000])
def test_a_range_of_buckets_takes_its_rows_out_of_files_that_hold_more(folder, monkeypatch, first_bucket):
    monkeypatch.setattr(table_files, "_ROWS_A_FILE", 300)
    table, back = filled(1000), EmbeddingTable("t", ADAM, seed=1)
    last_bucket = first_bucket + 96
    restore_table(folder, back, save_table(folder, table, *ALL), (first_bucket, last_bucket), step=100)
    buckets = bucket_of(table.export(*ALL).ids)
    expected = table.export(*ALL).ids[(buckets >= first_bucket) & (buckets < last_bucket)]
    assert len(expected) > 5
    np.testing.assert_array_equal(back.export(*ALL).ids, expected)


@pytest.mark.parametrize(
    ("buckets", "changes", "expected"),
    [
        ((0, 4096), {}, 1000),
        ((0, 1024), {}, 250),  # a quarter of the buckets
        ((0, 4096), {"rows": 2**62}, None),  # a manifest that was made up: not more than the bytes
        ((0, 4096), {"rows": -1}, 0),
        ((0, 4096), {"first_bucket": 9, "last_bucket": 9}, 1000),
        ((0, 4096), {"path": "missing"}, 0),
    ],
)
def test_a_table_is_told_how_many_ids_come(folder, monkeypatch, buckets, changes, expected):
    told = []
    (file,) = save_table(folder, filled(1000), *ALL)
    monkeypatch.setattr(EmbeddingTable, "expect", lambda table, ids: told.append(ids))
    claimed = dataclasses.replace(file, **changes)
    with suppress(CheckpointError):  # the table itself is never given what these files claim
        restore_table(folder, EmbeddingTable("t", ADAM, seed=1), [claimed], buckets, step=1)
    assert told == [file.file_bytes // 16 if expected is None else expected]


def test_a_table_that_expects_ids_takes_others_too_and_forgets_none():
    table = filled(100)
    table.expect(5000)
    assert len(table) == 100
    found = table.prepare(table.export(*ALL).ids).found
    assert found is not None
    assert (found.codes >= 0).all()
    empty = EmbeddingTable("t", ADAM, seed=1)
    ticket = empty.prepare(np.array([7]))
    empty.expect(10)
    empty.push(ticket, np.ones((1, 2), np.float32), impressions=1, step=1)
    empty.load(table.export(*ALL))
    assert len(empty) == 101


def test_files_of_other_buckets_and_tables_are_not_opened(folder):
    files = save_table(folder, filled(10), 0, 2048)
    (folder.local_path / files[0].path).unlink()
    restore_table(folder, EmbeddingTable("t", ADAM, seed=1), files, (2048, 4096), step=1)
    restore_table(folder, EmbeddingTable("other", ADAM, seed=1), files, ALL, step=1)
    with pytest.raises(CheckpointError, match="t-0000-2048.arrow is missing"):
        restore_table(folder, EmbeddingTable("t", ADAM, seed=1), files, ALL, step=1)


def test_an_optimizer_without_slot_variables_has_no_such_column(folder):
    sgd = EmbeddingConfig(embedding_dim=2, embedding_optimizer="sgd")
    table = filled(5, sgd)
    (file,) = save_table(folder, table, *ALL)
    with folder.open_input(file.path) as stream:
        assert pa.ipc.open_file(stream).schema.names == ["id", "row", "last_step", "count"]
    assert read_rows(folder, file).slots.shape == (5, 0)


def test_bytes_that_are_no_arrow_file_are_refused_by_name(folder):
    (file,) = save_table(folder, filled(5), *ALL)
    path = folder.local_path / file.path
    data = bytearray(path.read_bytes())
    path.write_bytes(data[:-1])
    with pytest.raises(CheckpointError, match=rf"t-0000-4096.arrow has {len(data) - 1} bytes, the manifest says"):
        read_rows(folder, file)
    data[100] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="t-0000-4096.arrow has another checksum than the manifest"):
        read_rows(folder, file)


@pytest.mark.parametrize(
    ("from_end", "by"), [(6, b"xx"), (10, b"\xff" * 4), (10, b"\1\0\0\0")]
)  # its mark; the footer's length
def test_a_file_whose_checksum_was_made_to_fit_is_refused_by_name(folder, from_end, by):
    (file,) = save_table(folder, filled(5), *ALL)
    path = folder.local_path / file.path
    data = path.read_bytes()
    start = len(data) - from_end
    changed = data[:start] + by + data[start + len(by) :]
    path.write_bytes(changed)
    forged = dataclasses.replace(file, crc32c=google_crc32c.value(changed))
    with pytest.raises(CheckpointError, match="t-0000-4096.arrow is not an Arrow file"):
        read_rows(folder, forged)


def test_rows_of_another_shape_are_a_mismatch_and_no_damage(folder):
    files = save_table(folder, filled(5), *ALL)
    other = EmbeddingTable("t", EmbeddingConfig(embedding_dim=3, embedding_optimizer="adam"), seed=1)
    with pytest.raises(CheckpointMismatchError, match="does not fit this run: .* saved rows have 2 columns and 4 slot"):
        restore_table(folder, other, files, ALL, step=1)


def test_ranges_within_a_range_cover_it_without_a_gap():
    assert bucket_ranges_within(10, 20, parts=3) == [(10, 13), (13, 16), (16, 20)]
    assert bucket_ranges_within(10, 12, parts=5) == [(10, 11), (11, 12)]
    assert bucket_ranges_within(0, 4096, parts=0) == [(0, 4096)]


def forged(folder: Folder, arrow: pa.Table, rows: int | None = None) -> table_files.TableFile:
    """Write a file of these columns with a checksum that fits."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, arrow.schema) as writer:
        writer.write_table(arrow)
    data = sink.getvalue().to_pybytes()
    folder.write_bytes("t-0000-4096.arrow", data)
    return table_files.TableFile(
        path="t-0000-4096.arrow",
        table="t",
        kind="rows",
        first_bucket=0,
        last_bucket=4096,
        rows=arrow.num_rows if rows is None else rows,
        file_bytes=len(data),
        crc32c=int(google_crc32c.value(data)),
    )


VECTOR = pa.list_(pa.float32(), 2)
GOOD = {
    "id": pa.array([3, 5], pa.int64()),
    "row": pa.array([[1, 2], [3, 4]], VECTOR),
    "last_step": pa.array([1, 1], pa.int64()),
    "count": pa.array([1, 1], pa.int64()),
}


@pytest.mark.parametrize(
    ("columns", "rows", "problem"),
    [
        ({**GOOD, "id": pa.array([3.0, 5.0])}, None, "column 'id' is double, expected int64"),
        ({**GOOD, "id": pa.array([3, None], pa.int64())}, None, "column 'id' has nulls"),
        ({**GOOD, "row": pa.array([[1, 2], None], VECTOR)}, None, "column 'row' has nulls"),
        ({**GOOD, "row": pa.array([[1, None], [3, 4]], VECTOR)}, None, "column 'row' has nulls"),
        ({**GOOD, "row": pa.array([[1, 2], [3, 4]])}, None, "column 'row' is list<item: int64>, expected fixed_size_"),
        ({**GOOD, "x": GOOD["id"]}, None, "it has the columns id, row, last_step, count, x, expected id, row, slots"),
        ({"id": GOOD["id"]}, None, "it has the columns id, expected"),
        (GOOD, 3, "it has 2 rows, the manifest says 3"),
    ],
)
def test_a_file_that_is_whole_and_holds_something_else_is_refused_by_name(folder, columns, rows, problem):
    with pytest.raises(CheckpointError, match=rf"t-0000-4096.arrow is not a file of rows: {problem}"):
        read_rows(folder, forged(folder, pa.table(columns), rows))
    assert read_rows(folder, forged(folder, pa.table(GOOD))).ids.tolist() == [3, 5]
