"""Which data set comes next in a run, and what is refused."""

from dataclasses import replace

import pytest

from esmm_dist.errors import CheckpointError, ConfigError
from esmm_dist.train.data_sets import (
    DataSetRecord,
    data_set_lines,
    next_data_sets,
    records_from_mapping,
    records_to_mapping,
)


def record(name: str, **changes) -> DataSetRecord:
    values = {"first_step": 0, "last_step": 0, "from_step": 0, "impressions": 10, "manifest_crc32c": hash(name)}
    return DataSetRecord(id=f"id of {name}", data=name, **{**values, **changes})


A, B, C = record("a"), record("b"), record("c")
A_DONE = replace(A, last_step=10, finished=True, chosen=("cooldown",))
B_BEGUN = replace(B, first_step=10, last_step=14, from_step=10)
B_DONE = replace(B_BEGUN, last_step=18, finished=True)
A_AGAIN = replace(A, first_step=18, last_step=18, from_step=18)


def planned(now, saved, begun=(), *, continues=False, again=False):
    return next_data_sets(now, saved, begun, run="run", continues=continues, again=again)


@pytest.mark.parametrize("continues", [False, True])
def test_a_new_run_begins_with_any_data_set(continues):
    assert planned(A, (), continues=continues) == (A,)


@pytest.mark.parametrize("continues", [False, True])
@pytest.mark.parametrize("saved", [(A_DONE,), (A_DONE, B_BEGUN), (A_DONE, B_DONE)])
def test_the_newest_data_set_is_resumed_wherever_it_lies_now(saved, continues):
    moved = replace(saved[-1], data="elsewhere")
    now = replace(moved, first_step=0, last_step=0, from_step=0, finished=False, chosen=())
    assert planned(now, saved, continues=continues) == (*saved[:-1], moved)


@pytest.mark.parametrize("continues", [False, True])
def test_the_same_records_under_another_manifest_are_not_resumed(continues):
    """Such as those of another share of negatives."""
    with pytest.raises(
        ConfigError, match="a is not the data set that run was trained on last, a .*Give the data set as it"
    ):
        planned(replace(A, manifest_crc32c=5), (A_DONE,), continues=continues)


def test_the_next_data_set_begins_where_the_one_before_ended():
    expected = replace(B, first_step=10, last_step=10, from_step=10)
    assert planned(B, (A_DONE,), continues=True) == (A_DONE, expected)
    assert planned(B, (A_DONE,), (A_DONE,), continues=True) == (A_DONE, expected)


def test_another_data_set_needs_to_be_told():
    with pytest.raises(
        ConfigError, match=r"b is not the data set that run was trained on last, a .*add --continue; or"
    ):
        planned(B, (A_DONE,))


def test_one_that_was_seen_is_refused_unless_told():
    with pytest.raises(ConfigError, match=r"run has learned from a already, in steps 1 to 10\. .*--again to learn"):
        planned(A, (A_DONE, B_DONE), continues=True)
    assert planned(A, (A_DONE, B_DONE), continues=True, again=True) == (A_DONE, B_DONE, A_AGAIN)
    assert planned(A, (A_DONE,), continues=True, again=True)[-1].first_step == 10
    # Told once more while it is at it, it goes on with that
    begun = replace(A_AGAIN, last_step=20)
    assert planned(A, (A_DONE, B_DONE, begun), continues=True, again=True) == (A_DONE, B_DONE, begun)


@pytest.mark.parametrize("now", [A, C])
def test_a_data_set_that_is_not_finished_comes_first(now):
    with pytest.raises(
        ConfigError,
        match=r"has not finished b, with which it has made 4 steps. Finish it first: esmm train --run run; or leave it "
        r"at that: esmm train --run run --max-steps 4\.",
    ):
        planned(now, (A_DONE, B_BEGUN), continues=True, again=True)


def test_one_that_was_begun_and_has_no_checkpoint_goes_on_without_being_told_again():
    begun = replace(B_BEGUN, chosen=("cooldown",))
    assert planned(B, (A_DONE,), (A_DONE, begun)) == (A_DONE, begun)
    assert planned(B, (A_DONE,), (A_DONE, begun), continues=True) == (A_DONE, begun)
    with pytest.raises(
        ConfigError,
        match=r"begun to learn from b, and has no checkpoint of that yet\. .* --data b; or give it up: remove",
    ):
        planned(C, (A_DONE,), (A_DONE, begun), continues=True)
    assert planned(A, (A_DONE,), (A_DONE, begun)) == (A_DONE,)


def test_a_list_that_is_ahead_of_its_checkpoints_is_no_finished_data_set():
    """Killed between the list and the checkpoint of the last step."""
    with pytest.raises(ConfigError, match="has no checkpoint of that yet"):
        planned(C, (A_DONE,), (A_DONE, B_DONE), continues=True)


def test_where_the_checkpoint_before_is_lost_its_data_set_comes_first():
    older = replace(A_DONE, last_step=8, finished=False)
    with pytest.raises(
        ConfigError, match="newest checkpoint that is not damaged is of step 8, while it learned from a"
    ):
        planned(B, (older,), (A_DONE, B_BEGUN))
    assert planned(A, (older,), (A_DONE, B_BEGUN)) == (older,)  # as the message says


def test_a_first_data_set_without_a_checkpoint():
    begun = replace(A, last_step=3, chosen=("cooldown",))
    assert planned(A, (), (begun,)) == (replace(A, chosen=("cooldown",)),)
    assert planned(B, (), (begun,)) == (B,)  # a new start, as ever
    with pytest.raises(ConfigError, match="begun to learn from a, and has no checkpoint of that yet"):
        planned(B, (), (begun,), continues=True)


def test_records_are_kept_as_plain_values():
    records = (A_DONE, replace(B_BEGUN, first={"ctr": {"auc": 0.5}}))
    assert records_from_mapping(records_to_mapping(records), where="here") == records
    (stored,) = records_to_mapping([A])
    with pytest.raises(CheckpointError, match="here: last_step is missing"):
        records_from_mapping([{k: v for k, v in stored.items() if k != "last_step"}], where="here")


def test_a_run_of_several_data_sets_lists_them():
    assert data_set_lines([A_DONE]) == []
    assert data_set_lines([A_DONE, B_BEGUN, A_AGAIN]) == [
        "data set 1: a, steps 1 to 10",
        "data set 2: b, steps 11 to 14, not finished",
        "data set 3: a, from step 19 on, not finished",
    ]
