"""A pinned checkpoint stays, whatever is saved after it."""

import pytest

from esmm_dist.checkpoint import pins, writer
from esmm_dist.checkpoint.format import checkpoint_folder, checkpoint_steps
from esmm_dist.checkpoint.listing import list_checkpoints
from esmm_dist.checkpoint.pins import is_pinned, pin_checkpoint, pinned_steps, unpin_checkpoint
from esmm_dist.checkpoint.reader import open_checkpoint, verify_tables
from esmm_dist.errors import CheckpointError
from tests.unit.checkpoint.saved_rows import SavedRows, save


def test_a_pinned_checkpoint_stays_beside_the_newest_until_it_is_unpinned(run):
    save(run, 10)
    pin_checkpoint(run, 10)
    pin_checkpoint(run, 10)
    for step in (20, 30, 40):
        save(run, step, keep=1)
    assert checkpoint_steps(run) == [40, 10]
    assert pinned_steps(run) == [10]
    assert is_pinned(run, 10)
    assert not is_pinned(run, 40)
    assert {each.step: each.is_pinned for each in list_checkpoints(run)} == {10: True, 40: False}
    verify_tables(open_checkpoint(run, 10))
    assert unpin_checkpoint(run, 10)
    assert not unpin_checkpoint(run, 10)
    save(run, 50, keep=1)
    assert checkpoint_steps(run) == [50]


def test_a_checkpoint_that_is_written_again_keeps_its_pin(run):
    save(run, 10)
    pin_checkpoint(run, 10)
    save(run, 10, SavedRows(5))
    save(run, 20, keep=1)
    assert checkpoint_steps(run) == [20, 10]


def test_a_checkpoint_that_is_not_there_or_damaged_is_not_pinned(run):
    with pytest.raises(CheckpointError, match="has no checkpoint of step 10"):
        pin_checkpoint(run, 10)
    save(run, 10).delete_file("dense.npz")
    with pytest.raises(CheckpointError, match=r"dense\.npz is missing"):
        pin_checkpoint(run, 10)
    assert pinned_steps(run) == []


def test_a_pin_that_comes_while_the_checkpoint_is_being_removed_brings_it_back(run, monkeypatch):
    """The training has listed the pins, and takes the checkpoint away right after somebody has pinned it."""
    save(run, 10)

    def listed_before_the_pin(run):
        pin_checkpoint(run, 10)
        return []

    monkeypatch.setattr(writer, "pinned_steps", listed_before_the_pin)
    save(run, 20, keep=1)
    assert checkpoint_steps(run) == [20, 10]
    verify_tables(open_checkpoint(run, 10))


def test_a_pin_that_comes_too_late_says_so_and_leaves_none(run, monkeypatch):
    save(run, 10)

    def removed_meanwhile(run, step):
        found = open_checkpoint(run, step)
        checkpoint_folder(run, step).delete()
        return found

    monkeypatch.setattr(pins, "open_checkpoint", removed_meanwhile)
    with pytest.raises(CheckpointError, match=r"of step 10 of .* was removed at this very moment"):
        pin_checkpoint(run, 10)
    assert pinned_steps(run) == []
