"""What a table does so that a run goes on from a step: a table of cases."""

from dataclasses import replace

import pytest

from esmm_dist.parameter_server.headers import OpenHeader
from esmm_dist.parameter_server.refusals import RequestError
from esmm_dist.parameter_server.resume import TableSteps, check_same_run, tables_to_undo

OPENED = OpenHeader(
    run="/r", location="/r", generation=3, index=0, count=1, world_size=3, update_mode="sync", max_staleness_steps=1,
    first_step=0, tables=("main",), embedding={"embedding_dim": 4}, seed=1, keep_undo=True,
)  # fmt: skip


def at(applied: int, undoable: int | None = None) -> TableSteps:
    return TableSteps(applied=applied, undoable=undoable)


@pytest.mark.parametrize(
    ("mode", "steps", "undone"),
    [
        ("sync", {"a": at(7, 7), "b": at(7)}, ()),
        ("sync", {"a": at(8, 8), "b": at(7, 7)}, ("a",)),
        ("bounded", {"a": at(8, 8), "b": at(5, 5)}, ("a",)),
        ("bounded", {"a": at(9, 9), "b": at(8)}, ()),
        ("async", {"a": at(8), "b": at(3)}, ()),
    ],
)
def test_a_table_that_is_one_step_ahead_undoes_it(mode, steps, undone):
    assert tables_to_undo(steps, mode=mode, first_step=7) == undone


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (at(6, 6), "the run is to resume after step 7, but step 6 was applied last and step 6 can be undone"),
        (at(9, 9), "step 9 was applied last"),  # two steps ahead: only one is kept
        (at(8), "step 8 was applied last and none can be undone. Restore the run from its checkpoint"),
    ],
)
def test_in_sync_a_table_that_cannot_reach_the_step_is_refused_by_name(found, message):
    with pytest.raises(RequestError, match=f"table 'b': .*{message}"):
        tables_to_undo({"a": at(7), "b": found}, mode="sync", first_step=7)


def test_a_run_goes_on_with_other_ranks_and_no_other_settings():
    check_same_run(OPENED, replace(OPENED, generation=4, world_size=2, first_step=9))
    with pytest.raises(RequestError, match="was opened with another seed than it is to resume with: 1, not 2"):
        check_same_run(OPENED, replace(OPENED, seed=2))
    with pytest.raises(RequestError, match="another keep_undo and tables than"):
        check_same_run(OPENED, replace(OPENED, tables=("x",), keep_undo=False))
