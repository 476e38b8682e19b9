from tests.unit.launcher.plan.plain_numbers import WORKLOAD


def test_towers_are_counted_by_hand():
    towers = WORKLOAD.towers
    assert towers.products == 100 * 10 + 10 * 1
    assert towers.parameters == 2 * (1010 + 10 + 1)  # biases of the hidden layer and of the logit
    assert towers.operations == 6 * 2 * 1010  # forward and twice back, a multiplication and an addition each


def test_a_share_is_a_part_of_the_batch():
    share = WORKLOAD.share(4)
    assert (share.impressions, share.records) == (250, 25)
    assert share.ids == 25 * (80 + 10 * 2)
    assert share.unique_ids == 250


def test_steps_are_the_batches_of_all_passes():
    assert WORKLOAD.steps == 1000
