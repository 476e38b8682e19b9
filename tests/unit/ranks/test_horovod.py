"""What a rank of Horovod decides by itself: its GPU, and what an error of another rank means."""

import pytest

from esmm_dist.errors import ConfigError, EsmmError, RetryError, StackError, WorkerLostError
from esmm_dist.ranks.horovod import _error_class, is_lost_peer, own_gpu


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


def test_a_lost_rankis_worth_another_try():
    assert issubclass(WorkerLostError, RetryError)


@pytest.mark.parametrize(
    ("name", "cls"), [("WorkerLostError", WorkerLostError), ("ConfigError", ConfigError), ("Unheard", EsmmError)]
)
def test_an_error_class_is_found_by_its_name(name, cls):
    assert _error_class(name) is cls
