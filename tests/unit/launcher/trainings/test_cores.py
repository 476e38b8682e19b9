"""Each of several processes gets its share of the cores."""

import pytest

from launcher.trainings.cores import cores_of_jobs, on_cores


@pytest.mark.parametrize(
    ("cores", "jobs", "expected"),
    [
        ([0, 1, 2, 3], 1, [None]),
        ([0, 1, 2, 3], 2, [[0, 1], [2, 3]]),
        ([0, 2, 4, 6, 8], 2, [[0, 2], [4, 6]]),
        ([5], 3, [[5], [5], [5]]),
    ],
)
def test_jobs_share_the_cores(cores, jobs, expected):
    assert cores_of_jobs(cores, jobs) == expected


def test_a_command_is_bound_to_cores_or_left_as_it_is():
    assert on_cores([0, 3], ["a", "b"])[-3:] == ("0,3", "a", "b")
    assert on_cores(None, ["a", "b"]) == ("a", "b")
