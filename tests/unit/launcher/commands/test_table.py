"""``esmm table``: which rows are meant, and how they are shown."""

from types import SimpleNamespace

import pytest

from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.checkpoint.summary import SavedRow
from esmm_dist.errors import ConfigError
from launcher.commands.table import TableConfig, table_command
from tests.support.tiny_dataset import tiny_schema
from tests.unit.launcher.commands.played_context import CONTEXT

SCHEMA = tiny_schema()
FIELD = SCHEMA.fields[0]


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    return str(tmp_path / "run")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"Set either ids or field and value"),
        ({"ids": "1", "field": "f", "value": "v"}, r"Set either ids or field and value"),
        ({"field": "f"}, r"field and value belong together"),
        ({"value": "v", "ids": "1"}, r"field and value belong together"),
        ({"ids": "1,x"}, r"ids is '1,x'\. Give whole numbers separated by commas: 1,2,3\."),
        ({"ids": ""}, r"ids is ''\. Give whole numbers"),
        ({"ids": f"1,{2**63}"}, r"ids holds 9223372036854775808, but feature ids are 64-bit integers\."),
        ({"ids": str(-(2**63) - 1)}, r"ids holds -9223372036854775809, but"),
    ],
)
def test_settings_that_mean_no_row_are_refused(run, settings, message):
    with pytest.raises(ConfigError, match=message):
        TableConfig(run=run, **settings)


def test_the_smallest_and_the_largest_id_are_ids(run):
    ids = f"{-(2**63)},{2**63 - 1}"
    assert TableConfig(run=run, ids=ids).of_schema(SCHEMA) == (None, [-(2**63), 2**63 - 1])


def test_a_step_may_stand_behind_the_run_or_in_a_setting_of_its_own(run):
    assert TableConfig(run=f"{run}:700", ids="1").checkpoint == TableConfig(run=run, step=700, ids="1").checkpoint


def test_a_value_of_a_field_leads_to_its_table_and_its_id(run):
    table, [feature_id] = TableConfig(run=run, field=FIELD.name, value="111").of_schema(SCHEMA)
    assert table == FIELD.table
    other = TableConfig(run=run, field=FIELD.name, value="112").of_schema(SCHEMA)[1]
    assert other != [feature_id]


def test_a_field_of_another_table_or_of_no_schema_is_refused(run):
    with pytest.raises(ConfigError, match=rf"table is 'other', but field '{FIELD.name}' is in '{FIELD.table}'"):
        TableConfig(run=run, field=FIELD.name, value="1", table="other").of_schema(SCHEMA)
    with pytest.raises(ConfigError, match=r"has no field 'nothing'\. Known: "):
        TableConfig(run=run, field="nothing", value="1").of_schema(SCHEMA)


def test_rows_are_shown_by_their_first_values_and_whole_in_the_json(run, monkeypatch):
    rows = [
        SavedRow(id=5, row=[0.5, -1.25, 1e-7, 3.0, 4.0], slots=[0.1, 0.2], last_step=1200, count=34),
        SavedRow(id=6, row=None, slots=[], last_step=0, count=0),
    ]
    checkpoint = SimpleNamespace(folder="run/checkpoints/700", manifest=SimpleNamespace(schema=SCHEMA, step=700))
    monkeypatch.setattr(CheckpointChoice, "restore", lambda self, progress, take: checkpoint)
    monkeypatch.setattr("esmm_dist.checkpoint.summary.find_rows", lambda checkpoint, table, ids: rows)
    outcome = table_command(TableConfig(run=run, ids="5,6"), CONTEXT)
    assert [" ".join(line.split()) for line in outcome.lines] == [
        "run/checkpoints/700",
        "id row slot variables last step steps",
        "5 0.5 -1.25 1e-07 3 … (5) 0.1 0.2 1,200 34",
        "6 no row yet: reads the start value",
    ]
    assert outcome.result["rows"][0]["row"] == [0.5, -1.25, 1e-7, 3.0, 4.0]
    assert (outcome.result["run"], outcome.result["step"]) == (run, 700)
