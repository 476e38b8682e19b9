"""A full version with its deltas answers as a full export of the last one, to the bit, and has its id."""

import shutil
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.errors import ConfigError, ServedModelError
from esmm_dist.schema.fields import Field
from esmm_dist.served_model.manifest import ServedBase
from esmm_dist.served_model.mapped_model import MappedModel
from esmm_dist.served_model.writing import write_delta
from tests.support.served_models import (
    SCHEMA,
    arrays,
    content,
    random_rows,
    start_values,
    to_serve,
    towers_of,
    write_change,
    write_version,
)

ALL = np.arange(-5, 400)


def changed(rows, random):
    """Return rows of which some are changed, some gone, and some new."""
    rows = dict(rows)
    for id_ in random.choice(ALL, 60):
        kind = random.integers(3)
        if kind == 0:
            rows.pop(int(id_), None)
        elif kind == 1 and int(id_) in rows:
            rows[int(id_)] = rows[int(id_)] * np.float32(random.choice([1, -1, 1.5]))  # 1: not changed after all
        else:
            rows |= random_rows([id_], 4, int(random.integers(999)))
    return rows


def assert_same(model, full):
    """Assert that two models answer the same, to the bit."""
    assert model.manifest.model_id == full.manifest.model_id
    for name, table in full.tables.items():
        ours = model.tables[name]
        assert ours.num_rows == table.num_rows
        for mine, theirs in zip(ours.find(ALL), table.find(ALL), strict=True):
            assert mine.tobytes() == theirs.tobytes()
        np.testing.assert_array_equal(ours.knows(ALL), table.knows(ALL))


@pytest.mark.parametrize("row_type", ["float32", "float16", "int8"])
@settings(max_examples=4)
@given(seed=st.integers(0, 9999), length=st.integers(1, 11))
def test_a_chain_of_random_deltas_is_the_full_version(tmp_path_factory, row_type, seed, length):
    folder, random = tmp_path_factory.mktemp("chain"), np.random.default_rng(seed)
    rows = random_rows(random.choice(ALL, 200, replace=False), 4)
    model = MappedModel.open([write_version(folder / "1", {"main": rows, "items": {}}, row_type)])
    folders = [folder / "1"]
    for number in range(2, 2 + length):
        rows = changed(rows, random)
        folders.append(folder / f"{number}.delta")
        write_change(folders[-1], {"main": rows, "items": {}}, model, row_type)
        model = model.with_delta(folders[-1])
        assert model.towers == folders[-1] / "served/towers"
    full = MappedModel.open([write_version(folder / "full", {"main": rows, "items": {}}, row_type)])
    assert_same(model, full)
    assert_same(MappedModel.open(folders), full)
    assert_same(MappedModel.open(folders, verify=False), full)


def test_layers_stay_few_however_long_the_chain_is_and_older_models_go_on_answering(tmp_path):
    rows = random_rows(range(100), 4)
    model = MappedModel.open([write_version(tmp_path / "1", {"main": rows, "items": {}})])
    models, contents = [model], [rows]
    for number in range(2, 22):
        rows = {**rows, **random_rows([number], 4, number)}
        rows.pop(100 - number)
        write_change(tmp_path / f"{number}.delta", {"main": rows, "items": {}}, model)
        model = model.with_delta(tmp_path / f"{number}.delta")
        models.append(model)
        contents.append(rows)
        assert len(model.tables["main"].layers) <= 1 + 2 * 4  # rows and removed ids of four deltas
    # Version 6 is the first with 5 deltas, which are merged; of the 20 of version 21, 17 are merged and 3 more follow
    for number, deltas in ((2, 1), (5, 4), (6, 1), (21, 4)):
        opened = MappedModel.open([tmp_path / "1", *(tmp_path / f"{each}.delta" for each in range(2, number + 1))])
        assert_same(opened, models[number - 1])
        assert len(opened.tables["main"].layers) == 1 + 2 * deltas
    for each, content_ in zip(models, contents, strict=True):
        ids, expected = arrays(content_, 4)
        found_rows, found = each.tables["main"].find(ALL)
        np.testing.assert_array_equal(ALL[found], ids)
        np.testing.assert_array_equal(found_rows[found], expected)
        np.testing.assert_array_equal(found_rows[~found], start_values("main").rows(ALL[~found]))


def test_a_delta_holds_the_rows_that_changed_those_that_are_new_and_the_ids_that_are_gone(tmp_path):
    rows = {**random_rows(range(50), 4), 60: np.zeros(4, np.float32)}
    base = MappedModel.open([write_version(tmp_path / "1", {"main": rows, "items": random_rows([3], 3)})])
    new = {**rows, 7: rows[7] + 1, 70: rows[8], 60: np.full(4, -0.0, np.float32)}  # -0 is another value than 0
    del new[9], new[11]
    manifest = write_change(tmp_path / "2.delta", {"main": new, "items": random_rows([3], 3)}, base)
    [shard] = manifest.tables[0].shards
    served = tmp_path / "2.delta/served"
    assert sorted(np.load(served / shard.ids.path)) == [7, 60, 70]
    assert shard.removed is not None
    assert np.load(served / shard.removed.path).tolist() == [9, 11]
    assert [table.rows for table in manifest.tables] == [50, 1]  # 51 + 1 - 2
    assert manifest.tables[1].shards == ()  # nothing changed
    assert all(table.start_rows is None for table in manifest.tables)
    assert manifest.base == ServedBase(version="1", model_id=base.manifest.model_id)


def test_a_delta_of_removed_ids_alone_removes_them(tmp_path):
    rows = random_rows(range(50), 4)
    base = MappedModel.open([write_version(tmp_path / "1", {"main": rows, "items": {}})])
    left = {id_: row for id_, row in rows.items() if id_ % 2}
    write_change(tmp_path / "2.delta", {"main": left, "items": {}}, base)
    model = base.with_delta(tmp_path / "2.delta")
    np.testing.assert_array_equal(np.flatnonzero(model.tables["main"].knows(np.arange(60))), sorted(left))
    assert base.tables["main"].knows(np.arange(50)).all()


def test_a_removed_id_may_come_back(tmp_path):
    rows = random_rows(range(5), 4)
    model = MappedModel.open([write_version(tmp_path / "1", {"main": rows, "items": {}})])
    for number, content_ in enumerate(({}, rows, {}, rows), start=2):
        write_change(tmp_path / f"{number}.delta", {"main": content_, "items": {}}, model)
        model = model.with_delta(tmp_path / f"{number}.delta")
        assert model.tables["main"].knows(np.arange(5)).tolist() == [bool(content_)] * 5


def test_a_delta_of_no_change_has_the_id_of_its_base(tmp_path):
    rows = {"main": random_rows(range(50), 4), "items": {}}
    base = MappedModel.open([write_version(tmp_path / "1", rows)])
    manifest = write_change(tmp_path / "2.delta", rows, base)
    assert manifest.model_id == base.manifest.model_id
    assert base.with_delta(tmp_path / "2.delta").tables["main"].num_rows == 50


@pytest.fixture
def base(tmp_path):
    return MappedModel.open([write_version(tmp_path / "1", {"main": random_rows(range(50), 4), "items": {}})])


def test_a_delta_of_another_base_is_refused(tmp_path, base):
    other = MappedModel.open([write_version(tmp_path / "5", {"main": {}, "items": {}})])
    write_change(tmp_path / "6.delta", {"main": random_rows([1], 4), "items": {}}, other)
    with pytest.raises(ServedModelError, match=r"6.delta/served/manifest.json is a delta of version 5 \(model .*/1 \("):
        base.with_delta(tmp_path / "6.delta")


def test_full_versions_and_deltas_do_not_take_each_others_place(tmp_path, base):
    write_change(tmp_path / "2.delta", {"main": {}, "items": {}}, base)
    with pytest.raises(ServedModelError, match=r"2.delta is a delta of version 1. Give the folder of a full version"):
        MappedModel.open([tmp_path / "2.delta"])
    with pytest.raises(ServedModelError, match="manifest.json is that of a full version, not of a delta. Open it as"):
        base.with_delta(tmp_path / "1")


OTHER_SCHEMA = {"schema": type(SCHEMA)(name="b", labels=("click", "conversion"), fields=SCHEMA.fields)}


@pytest.mark.parametrize(
    ("changes", "row_type", "text"),
    [
        (
            OTHER_SCHEMA,
            "float32",
            "Version 1 has another schema than the model. A delta cannot change it: export a full",
        ),
        ({"seed": 8}, "float32", "Version 1 has another seed of the start rows than the model: 7, and now 8."),
        ({}, "int8", "Version 1 has another row type of table 'main' than the model: float32, and now int8."),
    ],
)
def test_what_a_delta_cannot_change_is_refused_when_it_is_written(tmp_path, base, changes, row_type, text):
    with pytest.raises(ConfigError, match=text):
        write_change(tmp_path / "2.delta", {"main": {}, "items": {}}, base, row_type, **changes)


def test_other_tables_and_other_start_rows_are_refused_when_a_delta_is_written(tmp_path, base):
    served = towers_of(tmp_path / "2.delta")
    with pytest.raises(ConfigError, match=r"another tables than the model|other tables"):
        write_delta(served, content(), [to_serve("main", {})], base, base_version="1")
    table = to_serve("main", {})
    table.start_rows[0, 0] += 1
    with pytest.raises(ConfigError, match="Version 1 has another start rows of table 'main' than the model. "):
        write_delta(served, content(), [table, to_serve("items", {})], base, base_version="1")


@pytest.mark.parametrize("what", ["schema", "seed", "form of the tables"])
def test_a_delta_whose_manifest_does_not_fit_its_base_is_refused_when_it_is_applied(tmp_path, base, what):
    manifest = write_change(tmp_path / "2.delta", {"main": {}, "items": {}}, base)
    fields = (Field(name="other", owner="user"), SCHEMA.fields[1])
    changes: dict[str, dict[str, Any]] = {
        "schema": {"schema": replace(SCHEMA, fields=fields)},
        "seed": {"seed": 8},
        "form of the tables": {"tables": (manifest.tables[0], replace(manifest.tables[1], embedding_dim=9))},
    }
    (tmp_path / "2.delta/served/manifest.json").write_text(replace(manifest, **changes[what]).to_json())
    with pytest.raises(
        ServedModelError, match=rf"2.delta/served/manifest.json has another {what} than its base .*/1\."
    ):
        base.with_delta(tmp_path / "2.delta")


def test_threads_read_old_and_new_models_while_deltas_are_applied(tmp_path):
    rows, folders = random_rows(range(300), 4), []
    models = [MappedModel.open([write_version(tmp_path / "1", {"main": rows, "items": {}})])]
    contents = [rows]
    for number in range(2, 9):
        contents.append({**contents[-1], **random_rows(range(number), 4, number)})
        folders.append(tmp_path / f"{number}.delta")
        write_change(folders[-1], {"main": contents[-1], "items": {}}, models[-1])
        models.append(models[-1].with_delta(folders[-1]))
    expected = [arrays(each, 4)[1] for each in contents]
    ids = np.arange(300)

    def read(number):
        return all(
            (models[number].tables["main"].find(ids)[0] == expected[number]).all()
            and (models[number].with_delta(folders[number]).tables["main"].find(ids)[0] == expected[number + 1]).all()
            for _ in range(5)
        )

    with ThreadPoolExecutor(7) as pool:
        assert all(pool.map(read, range(7)))


def test_rows_are_mapped_and_not_copied(tmp_path):
    rows = random_rows(range(20_000), 4)
    write_version(tmp_path / "1", {"main": rows, "items": {}})
    tracemalloc.start()
    try:
        model = MappedModel.open([tmp_path / "1"])
        model.tables["main"].find(np.arange(100))
        in_memory, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    index_bytes = 2 * 4096 * 32 * 2  # each layer's, and all of a table's
    assert in_memory < index_bytes + 100_000  # 480,000 of rows, 1.8 million of start rows


def test_files_of_a_removed_folder_stay_mapped(tmp_path):
    rows = random_rows(range(3000), 4)
    model = MappedModel.open([write_version(tmp_path / "1", {"main": rows, "items": {}})], verify=False)
    shutil.rmtree(tmp_path / "1")
    np.testing.assert_array_equal(model.tables["main"].find(np.arange(3000))[0], arrays(rows, 4)[1])


@pytest.mark.parametrize("row_type", ["float16", "int8"])
def test_a_row_of_which_the_scale_alone_differs_is_in_the_delta(tmp_path, row_type):
    rows = random_rows(range(50), 4)
    base = MappedModel.open([write_version(tmp_path / "1", {"main": rows, "items": {}}, row_type)])
    new = {**rows, 7: rows[7] * 2}
    manifest = write_change(tmp_path / "2.delta", {"main": new, "items": {}}, base, row_type)
    assert [shard.rows for shard in manifest.tables[0].shards] == [1]
    ids = np.array([7])
    expected = 2 * base.tables["main"].find(ids)[0]
    np.testing.assert_array_equal(base.with_delta(tmp_path / "2.delta").tables["main"].find(ids)[0], expected)
