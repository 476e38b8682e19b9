"""What a rank of Horovod decides by itself: its GPU, and what an error of another rank means."""

from typing import Any

import pytest

from esmm_dist.errors import CheckpointError, ConfigError, EsmmError, RetryError, StackError, WorkerLostError
from esmm_dist.process.quiet import import_tensorflow
from esmm_dist.ranks.horovod import HorovodWorld, _error_class, is_lost_peer, own_gpu


class OneRank(HorovodWorld):
    """One of two ranks, without Horovod: what it shares is kept, and what rank 0 shares the test says."""

    def __init__(self, rank: int, shared_by_root: Any = None) -> None:
        self.rank, self.size = rank, 2
        self.shared: list[Any] = []
        self._shared_by_root = shared_by_root
        self._tf = import_tensorflow()

    def share(self, value: Any) -> Any:
        self.shared.append(value)
        return value if self.rank == 0 else self._shared_by_root


def raising(error: Exception) -> Any:
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize(("local_rank", "gpu"), [(0, "a"), (1, "b")])
def test_each_local_rank_has_a_gpu_of_its_own(local_rank, gpu):
    assert own_gpu(["a", "b"], local_rank) == gpu


def test_more_ranks_than_gpus_are_refused_with_what_to_do():
    message = "This machine has 1 GPU, but rank number 2 on it needs one too. Start at most one rank per GPU, or hide"
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
    assert _error_class(name) is cls


def test_rank_0_does_the_work_and_shares_its_result():
    world = OneRank(0)
    assert world.on_root(lambda: {"a": 1}) == {"a": 1}
    assert world.shared == [{"value": {"a": 1}}]


def test_another_rank_gets_the_result_without_the_work():
    world = OneRank(1, {"value": {"a": 1}})
    assert world.on_root(lambda: pytest.fail("only rank 0 works")) == {"a": 1}


def test_an_error_on_rank_0_is_shared_before_it_is_raised():
    world = OneRank(0)
    with pytest.raises(CheckpointError, match="^file x is damaged$"):
        world.on_root(raising(CheckpointError("file x is damaged")))
    assert world.shared == [{"error": "CheckpointError", "text": "file x is damaged"}]


def test_a_defect_on_rank_0_is_raised_there_and_shared_with_nobody():
    world = OneRank(0)
    with pytest.raises(ZeroDivisionError):
        world.on_root(raising(ZeroDivisionError()))
    assert world.shared == []  # the others notice that the rank has ended


@pytest.mark.parametrize(("name", "cls"), [("CheckpointError", CheckpointError), ("NewError", EsmmError)])
def test_another_rank_raises_the_same_class_and_says_that_rank_0_failed(name, cls):
    world = OneRank(1, {"error": name, "text": "file x is damaged"})
    with pytest.raises(cls, match="^rank 0 failed: file x is damaged$") as caught:
        world.on_root(lambda: None)
    assert type(caught.value) is cls


def test_the_end_of_another_rank_within_a_collective_is_named_in_one_line():
    world, errors = OneRank(1), import_tensorflow().errors
    lost = errors.UnknownError(None, None, "Horovod has been shut down. This was caused by ...")
    with pytest.raises(WorkerLostError, match="^rank 1 of 2: another rank ended; its own") as caught, world.watching():
        raise lost
    assert caught.value.__suppress_context__  # a page of Horovod's, which says the same


@pytest.mark.parametrize("name", ["UnknownError", "InternalError", "InvalidArgumentError"])
def test_any_other_error_within_a_collective_is_raised_as_it_is(name):
    error = getattr(import_tensorflow().errors, name)(None, None, "Mismatched allreduce tensor shapes")
    with pytest.raises(type(error)) as caught, OneRank(1).watching():
        raise error
    assert caught.value is error
