"""The world of one process alone."""

import numpy as np
import pytest

from esmm_dist.errors import CheckpointError
from esmm_dist.ranks.solo import SoloWorld


def test_alone_values_pass_through_json_as_they_would_between_ranks():
    assert str(SoloWorld().share({1: (2, 3), "x": None})) == "{'1': [2, 3], 'x': None}"
    assert str(SoloWorld().on_root(lambda: (1, 2))) == "[1, 2]"


def test_alone_an_error_of_the_work_is_raised_as_it_is():
    def fail() -> None:
        raise CheckpointError("damaged")

    with pytest.raises(CheckpointError, match="^damaged$"):
        SoloWorld().on_root(fail)


def test_alone_there_is_nobody_to_gather_from_or_to_wait_for():
    world, rows = SoloWorld(), np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert world.gather(rows) is rows
    assert str(world.gather_values((1, 2))) == "[[1, 2]]"  # as JSON would hold it
    assert world.sum_in_step(rows) is rows
    world.barrier()
    world.broadcast_variables([])
    with world.watching():
        pass
