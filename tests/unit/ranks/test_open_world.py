"""Which world a process is started into, decided from its environment without any Horovod."""

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.ranks.environment import process_rank
from esmm_dist.ranks.open_world import open_world
from esmm_dist.ranks.solo import SoloWorld


def test_without_horovods_environment_a_process_is_alone(environment):
    assert process_rank() == (0, 1)
    world = open_world()
    assert isinstance(world, SoloWorld)
    assert (world.rank, world.size, world.local_rank) == (0, 1, 0)


def test_one_rank_of_horovod_is_alone_and_loads_no_horovod(environment):
    environment.setenv("HOROVOD_RANK", "0")
    environment.setenv("HOROVOD_SIZE", "1")
    assert isinstance(open_world(), SoloWorld)


def test_a_rank_that_is_left_over_of_another_job_is_named(environment):
    environment.setenv("HOROVOD_RANK", "1")
    environment.setenv("HOROVOD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"rank 1 of 2, but names no rendezvous of the ranks.* unset HOROVOD_RANK"):
        open_world()


@pytest.mark.parametrize(
    "name", ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMI_SIZE", "SLURM_PROCID", "SLURM_NTASKS"]
)
def test_ranks_of_other_launchers_make_no_rank_here(environment, name):
    environment.setenv(name, "3")
    assert isinstance(open_world(), SoloWorld)


def test_ranks_that_come_and_go_need_the_projects_own_rendezvous(environment):
    environment.setenv("HOROVOD_ELASTIC", "1")  # also as the only rank: others may come
    with pytest.raises(ConfigError, match=r"HOROVOD_ELASTIC is 1, but ESMM_RENDEZVOUS is not set.*esmm local"):
        open_world()


def test_ranks_with_a_rendezvous_need_the_token(environment):
    environment.setenv("HOROVOD_RANK", "0")
    environment.setenv("HOROVOD_SIZE", "2")
    environment.setenv("ESMM_RENDEZVOUS", "127.0.0.1:1/ab")
    with pytest.raises(ConfigError, match=r"must show the job's token, and there is none"):
        open_world()
