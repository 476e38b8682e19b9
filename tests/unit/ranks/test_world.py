"""One process alone, and what is decided without any Horovod."""

import numpy as np
import pytest

from esmm_dist.errors import CheckpointError, ConfigError, EsmmError, RetryError, StackError, WorkerLostError
from esmm_dist.ranks import world as world_module
from esmm_dist.ranks.local_rank import agents_local_rank
from esmm_dist.ranks.world import SoloWorld, is_lost_peer, open_world, own_gpu, process_rank


@pytest.fixture
def environment(monkeypatch):
    for name in ("HOROVOD_RANK", "HOROVOD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_without_horovods_environment_a_process_is_alone(environment):
    assert process_rank() == (0, 1)
    world = open_world()
    assert isinstance(world, SoloWorld)
    assert (world.rank, world.size, world.local_rank) == (0, 1, 0)


def test_one_rank_of_horovod_is_alone_and_loads_no_horovod(environment):
    environment.setenv("HOROVOD_RANK", "0")
    environment.setenv("HOROVOD_SIZE", "1")
    assert isinstance(open_world(), SoloWorld)


def test_rank_and_size_are_read_from_the_environment(environment):
    environment.setenv("HOROVOD_RANK", "3")
    environment.setenv("HOROVOD_SIZE", "12")
    assert process_rank() == (3, 12)


def test_a_rank_that_is_left_over_of_another_job_is_named(environment):
    environment.delenv("HOROVOD_GLOO_RENDEZVOUS_ADDR", raising=False)
    environment.setenv("HOROVOD_RANK", "1")
    environment.setenv("HOROVOD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"rank 1 of 2, and does not say where .* unset HOROVOD_RANK"):
        open_world()


@pytest.mark.parametrize(
    "name", ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMI_SIZE", "SLURM_PROCID", "SLURM_NTASKS"]
)
def test_ranks_of_other_launchers_make_no_rank_here(environment, name):
    environment.setenv(name, "3")
    assert isinstance(open_world(), SoloWorld)


@pytest.mark.parametrize(("name", "text"), [("HOROVOD_RANK", "first"), ("HOROVOD_SIZE", "-1"), ("HOROVOD_SIZE", "")])
def test_a_rank_or_size_that_is_no_number_is_refused(environment, name, text):
    environment.setenv(name, text)
    with pytest.raises(ConfigError, match=f"The environment's {name} is '{text}'"):
        open_world()


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
    world.wait()
    world.broadcast_variables([])
    with world.watching():
        pass


@pytest.mark.parametrize(("environment", "local_rank"), [({}, 0), ({"ESMM_LOCAL_RANK": "3"}, 3)])
def test_the_local_rank_of_an_elastic_worker_is_its_agents(environment, local_rank):
    assert agents_local_rank(environment) == local_rank


def test_a_local_rank_that_is_no_number_is_refused():
    with pytest.raises(ConfigError, match="The environment's ESMM_LOCAL_RANK is 'x'. esmm agent --local-rank sets it"):
        agents_local_rank({"ESMM_LOCAL_RANK": "x"})


@pytest.mark.parametrize(("local_rank", "gpu"), [(0, "a"), (1, "b")])
def test_each_local_rank_has_a_gpu_of_its_own(local_rank, gpu):
    assert own_gpu(["a", "b"], local_rank) == gpu


def test_more_ranks_than_gpus_are_refused_with_what_to_do():
    message = "This machine has 1 GPU, and rank number 2 on it finds none left. Start at most one rank a GPU, or hide"
    with pytest.raises(StackError, match=message):
        own_gpu(["a"], 1)


@pytest.mark.parametrize(
    ("message", "lost"),
    [
        # as TensorFlow hands them on; the last two are of a fault of the program
        ("Horovod has been shut down. This was caused by an exception on one of the ranks or an attempt ...", True),
        ("{{function_node x}} Horovod has been shut down. This was ...", True),
        ("[/a/third_party/compatible17_gloo/gloo/transport/tcp/pair.cc:589] Read error [::1]:3: Reset", True),
        ("Mismatched allreduce tensor shapes: rank 0 reduced a tensor of shape [2], rank 1 of [3]", False),
        ('Detected at node defined at: File "/lib/horovod/tensorflow/__init__.py" ... division by zero', False),
    ],
)
def test_a_lost_rank_is_told_from_other_failures(message, lost):
    assert is_lost_peer(message) is lost


def test_a_lost_rank_is_worth_another_try():
    assert issubclass(WorkerLostError, RetryError)


@pytest.mark.parametrize(
    ("name", "cls"), [("WorkerLostError", WorkerLostError), ("ConfigError", ConfigError), ("Unheard", EsmmError)]
)
def test_an_error_class_is_found_by_its_name(name, cls):
    assert world_module._error_class(name) is cls
