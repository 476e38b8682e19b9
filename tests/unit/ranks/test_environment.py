"""What the environment says about this process's rank."""

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.ranks.environment import agents_local_rank, process_rank


def test_rank_and_size_are_read_from_the_environment(environment):
    environment.setenv("HOROVOD_RANK", "3")
    environment.setenv("HOROVOD_SIZE", "12")
    assert process_rank() == (3, 12)


@pytest.mark.parametrize(("name", "text"), [("HOROVOD_RANK", "first"), ("HOROVOD_SIZE", "-1"), ("HOROVOD_SIZE", "")])
def test_a_rank_or_size_that_is_no_number_is_refused(environment, name, text):
    environment.setenv(name, text)
    with pytest.raises(ConfigError, match=f"The environment's {name} is '{text}'"):
        process_rank()


@pytest.mark.parametrize(("environment", "local_rank"), [({}, 0), ({"ESMM_LOCAL_RANK": "3"}, 3)])
def test_the_local_rank_of_an_elastic_worker_is_its_agents(environment, local_rank):
    assert agents_local_rank(environment) == local_rank


def test_a_local_rank_that_is_no_number_is_refused():
    with pytest.raises(ConfigError, match="The environment's ESMM_LOCAL_RANK is 'x'. esmm agent --local-rank sets it"):
        agents_local_rank({"ESMM_LOCAL_RANK": "x"})
