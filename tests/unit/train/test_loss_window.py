"""Mean losses between two points of the log."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.train.loss_window import LossWindow


def test_a_loss_window_takes_means_over_impressions_and_is_reset():
    window = LossWindow(2)
    window.add([3.0, 1.0], 4)  # type: ignore[arg-type]
    window.add([5.0, 3.0], 12)  # type: ignore[arg-type]
    assert window.take() == [0.5, 0.25]
    assert window.take() == [0.0, 0.0]


def test_a_loss_window_goes_on_from_its_state():
    window, whole = LossWindow(1), LossWindow(1)
    window.add([0.1], 3)  # type: ignore[arg-type]
    window = LossWindow.from_state(json.loads(json.dumps(window.to_state())))
    whole.add([0.1], 3)  # type: ignore[arg-type]
    for each in (window, whole):
        each.add([0.2], 4)  # type: ignore[arg-type]
    assert window.take() == whole.take()


steps = st.lists(st.tuples(st.floats(0, 1e6, width=32), st.integers(1, 10**6)), max_size=12)


@given(steps, st.integers(0, 12))
def test_a_window_that_is_stored_and_read_anywhere_has_the_same_bits(added, place):
    window, whole = LossWindow(1), LossWindow(1)
    for number, (loss, weight) in enumerate(added):
        if number == place:
            window = LossWindow.from_state(json.loads(json.dumps(window.to_state())))
        for each in (window, whole):
            each.add(np.array([loss], np.float32), float(weight))
    assert window.to_state() == whole.to_state()
    total = sum(weight for _, weight in added)
    (mean,) = window.take()
    expected = sum(np.float64(loss) for loss, _ in added) / total if total else 0.0
    np.testing.assert_allclose(mean, expected, rtol=1e-12)


def test_a_checkpoint_from_before_there_were_sample_weights_can_be_read():
    window = LossWindow.from_state({"sums": [6.0, 2.0], "impressions": 4})
    assert window.take() == [1.5, 0.5]
