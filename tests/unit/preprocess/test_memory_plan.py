"""How many workers and partitions a run has for its memory and its log."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.errors import ConfigError
from preprocess.memory_plan import MAX_PARTITIONS, plan_memory
from preprocess.read.chunks import CHUNK_BYTES
from preprocess.read.flat.pieces import MOST_ITEMS


def test_plan_uses_fewer_workers_rather_than_more_memory():
    assert plan_memory(memory_gb=8, workers=4, text_bytes=10**9, split_bytes=10**9).workers == 4
    assert plan_memory(memory_gb=0.75, workers=4, text_bytes=10**9, split_bytes=10**9).workers == 2
    assert plan_memory(memory_gb=0.4, workers=4, text_bytes=10**9, split_bytes=10**9).workers == 1


def test_plan_starts_no_second_process_for_a_small_log():
    assert plan_memory(memory_gb=8, workers=4, text_bytes=120_000_000, split_bytes=10**7).workers == 1
    assert plan_memory(memory_gb=8, workers=4, text_bytes=130_000_000, split_bytes=10**7).workers == 2


def test_plan_cuts_into_more_partitions_where_memory_is_small():
    small, large = (plan_memory(memory_gb=m, workers=1, text_bytes=10**10, split_bytes=10**10) for m in (0.4, 4))
    assert small.partitions > large.partitions > 1
    assert small.partition_limit_bytes < large.partition_limit_bytes


def test_memory_that_holds_no_worker_is_refused_with_the_least_that_works():
    with pytest.raises(ConfigError, match=r"memory_gb is 0\.05, but preprocess needs at least 0\.\d\d\. Raise"):
        plan_memory(memory_gb=0.05, workers=1, text_bytes=1, split_bytes=1)


def test_plan_parses_fewer_items_at_once_where_memory_is_small():
    small, large = (plan_memory(memory_gb=m, workers=1, text_bytes=10**9, split_bytes=10**9) for m in (0.33, 4))
    assert 200_000 < small.piece_items < 300_000
    assert large.piece_items == MOST_ITEMS


def test_plan_has_a_worker_for_each_core_unless_told_otherwise():
    plan = plan_memory(memory_gb=1000, workers=None, text_bytes=10**12, split_bytes=10**12)
    assert plan.workers == len(os.sched_getaffinity(0))
    assert plan.chunk_bytes == CHUNK_BYTES


@given(
    memory_gb=st.floats(0.33, 64),
    workers=st.integers(1, 64),
    text_bytes=st.integers(0, 10**13),
    share=st.floats(0.1, 1),
)
def test_a_plan_has_at_least_one_worker_and_partition_and_no_more_than_was_asked_for(
    memory_gb: float, workers: int, text_bytes: int, share: float
):
    split_bytes = int(share * text_bytes)
    plan = plan_memory(memory_gb=memory_gb, workers=workers, text_bytes=text_bytes, split_bytes=split_bytes)
    assert 1 <= plan.workers <= workers
    assert 1 <= plan.partitions <= MAX_PARTITIONS
    assert plan.partition_limit_bytes > 0
    assert 0 < plan.piece_items <= MOST_ITEMS
    # A partition is joined in six times its bytes on disk, and all workers join at once.
    assert plan.workers * 6 * plan.partition_limit_bytes <= memory_gb * 1e9
