"""Two models have one id if they answer the same, and two ids if they may not."""

import re

import numpy as np
import pytest

from esmm_dist.embedding.start_values import StartValues
from esmm_dist.served_model.mapped_model import MappedModel
from esmm_dist.served_model.writing import TableRowsToServe, write_full
from tests.support.served_models import SCHEMA, content, random_rows, to_serve, towers_of, write_version

ROWS = random_rows(range(40), 4)


def id_of(folder, rows=ROWS, items=None, row_type="float32", **changes):
    write_version(folder, {"main": rows, "items": items or {}}, row_type, **changes)
    return MappedModel.open([folder]).manifest.model_id


@pytest.fixture
def known(tmp_path):
    return id_of(tmp_path / "known")


def test_the_same_content_has_the_same_id_whatever_it_was_made_from(tmp_path, known):
    assert re.fullmatch("[0-9a-f]{32}", known)
    assert id_of(tmp_path / "1", run="another/run", step=77) == known
    served = towers_of(tmp_path / "2")
    tables = [to_serve("main", ROWS, parts=9), to_serve("items", {})]
    assert write_full(served, content(), tables, shard_bytes=100).model_id == known


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": {**ROWS, 3: ROWS[3] * np.float32(1 + 2**-23)}},  # the last bit
        {"rows": {**ROWS, 3: -ROWS[3]}},
        {"rows": {**ROWS, 1000: ROWS[3]}},
        {"rows": {id_: row for id_, row in ROWS.items() if id_ != 3}},
        {"rows": {**ROWS, 3: ROWS[4], 4: ROWS[3]}},  # in each other's place
        {"rows": {}, "items": random_rows([1], 3)},
        {"row_type": "float16"},
        {"row_type": "int8"},
        {"seed": 8},
        {"seen_fields": ("user",)},
        {"lists": ("user",)},
        {"uses_norms": True},
        {"calibrated": True},
        {"settings": {"min_count": 1}},
        {"towers_digest": "of others"},
        {"schema": type(SCHEMA)(name="served", labels=("click", "order"), fields=SCHEMA.fields)},
    ],
)
def test_another_content_has_another_id(tmp_path, known, changes):
    assert id_of(tmp_path / "1", **changes) != known


def test_other_start_rows_have_another_id(tmp_path, known):
    start = StartValues(embedding_dim=4, scale=0.25, seed=7)
    table = TableRowsToServe(
        name="main", row_type="float32", start_rows=start.choices, parts=to_serve("main", ROWS).parts
    )
    assert write_full(towers_of(tmp_path / "1"), content(), [table, to_serve("items", {})]).model_id != known


def test_rows_that_differ_by_less_than_a_step_are_one_model_in_int8(tmp_path):
    rows = {0: np.array([127, 3, 0, 0], np.float32)}  # scale 1
    near = {0: np.array([127, 3.25, 0, 0], np.float32)}
    assert id_of(tmp_path / "1", rows, row_type="int8") == id_of(tmp_path / "2", near, row_type="int8")
    assert id_of(tmp_path / "3", rows) != id_of(tmp_path / "4", near)


def test_ids_values_and_scales_each_count(tmp_path):
    row = np.array([127, 3, 0, 0], np.float32)
    tables = [
        {5: row},
        {6: row},
        {5: row * 2},
        {5: row + np.array([0, 1, 0, 0], np.float32)},
    ]  # the third by its scale alone
    found = {id_of(tmp_path / str(number), rows, row_type="int8") for number, rows in enumerate(tables)}
    assert len(found) == 4
