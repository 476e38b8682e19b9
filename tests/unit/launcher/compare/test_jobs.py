"""How many trainings a machine carries."""

import pytest

from launcher.compare.jobs import jobs_in


@pytest.mark.parametrize(
    ("free_gb", "gb_each", "cores", "expected"),
    [
        (100, 2, 8, 8),  # a core each
        (7, 2, 8, 3),  # the memory holds three
        (1, 2, 8, 1),  # it may be tight, but there is no fewer than one
    ],
)
def test_one_a_core_as_many_as_the_memory_holds(free_gb, gb_each, cores, expected):
    assert jobs_in(free_gb * 1e9, gb_each * 1e9, cores) == expected
