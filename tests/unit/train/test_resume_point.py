"""The step that weights and rows can both be brought to."""

import itertools

import pytest

from esmm_dist.train.resume_point import RankStep, ResumePoint, Rollback, TableStep, find_resume_point


def ranks(*steps, undoable=True):
    return [RankStep(step=step, undoable=undoable and step is not None) for step in steps]


def rows(*steps, undoable=True):
    return [[TableStep(step=step, undoable=undoable)] for step in steps]


@pytest.mark.parametrize(
    ("weights", "tables", "step"),
    [
        ((7, 7), (7, 7), 7),  # everything arrived before the loss
        ((7, 7), (6, 6), 6),  # the lost rank's gradients of step 7 did not
        ((7, 7), (7, 6), 6),  # they reached one server
        ((7, 6), (6, 6), 6),  # one rank had not got the sum
        ((7,), (7,), 7),
        ((0, 0), (0, 0), 0),
    ],
)
def test_in_sync_all_go_on_after_the_smallest_step(weights, tables, step):
    assert find_resume_point(ranks(*weights), rows(*tables), mode="sync") == ResumePoint(step=step, root_rank=0)


def test_whoever_has_just_come_gets_all_from_a_rank_that_has_it():
    assert find_resume_point(ranks(None, 7, None), rows(7), mode="sync") == ResumePoint(step=7, root_rank=1)


def test_without_a_survivor_there_is_nothing_to_tell():
    assert find_resume_point(ranks(None, None), rows(7, 7), mode="sync") == Rollback(reason="")


def test_a_server_without_rows_is_named():
    found = find_resume_point(ranks(7, 7), [rows(7)[0], None, None], mode="sync")
    assert found == Rollback(reason="servers 1, 2 restarted and hold no rows")


@pytest.mark.parametrize(
    ("weights", "tables"),
    [
        (ranks(7, 7, undoable=False), rows(6, 7)),  # the weights cannot go back
        (ranks(7, 7), rows(7, 7, undoable=False)[:1] + rows(6)),  # rows cannot
        (ranks(7, 5), rows(5)),  # more than one step
        (ranks(5), rows(7)),
    ],
)
def test_what_cannot_be_brought_together_comes_from_the_checkpoint(weights, tables):
    found = find_resume_point(weights, tables, mode="sync")
    assert isinstance(found, Rollback)
    assert "weights are at steps" in found.reason


def test_bounded_goes_on_with_rows_that_are_behind():
    assert find_resume_point(ranks(7, 6), rows(5, 4), mode="bounded") == ResumePoint(step=6, root_rank=0)


def test_async_goes_on_after_the_newest_step_whose_rows_have_changed_already():
    assert find_resume_point(ranks(6, 7), rows(6, 5), mode="async") == ResumePoint(step=7, root_rank=1)


def test_every_state_that_sync_allows_can_be_gone_on_from():
    """A rank makes step t + 1 once all gradients of step t have arrived: weights and rows are within one step."""
    for weights in itertools.product((6, 7), repeat=3):
        for tables in itertools.product((6, 7), repeat=2):
            if max(tables) <= min(weights):
                found = find_resume_point(ranks(*weights), rows(*tables), mode="sync")
                assert found == ResumePoint(step=min(*weights, *tables), root_rank=0)
