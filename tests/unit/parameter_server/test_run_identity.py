"""The name by which servers know a run."""

import pytest

from esmm_dist.parameter_server.run_identity import RunIdentity


@pytest.mark.parametrize(
    ("location", "purpose", "name"),
    [
        ("/runs/a", "train", "/runs/a"),
        ("/runs/a", "score", "/runs/a (score)"),  # scoring a run does not replace its training on the servers
        ("s3://KEY:SECRET@bucket/run?region=eu-west-1", "train", "s3://bucket/run"),
        ("file:///runs/a", "train", "/runs/a"),
    ],
)
def test_a_run_is_named_by_its_place_without_credentials(location, purpose, name):
    identity = RunIdentity(location=location, generation=1, rank=0, world_size=1, purpose=purpose)
    assert identity.name == name


def test_generation_and_rank_do_not_change_the_name():
    one = RunIdentity(location="/runs/a", generation=1, rank=0, world_size=1)
    other = RunIdentity(location="/runs/a", generation=2, rank=3, world_size=4)
    assert one.name == other.name
