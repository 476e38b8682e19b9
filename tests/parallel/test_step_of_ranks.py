"""Several ranks make the steps of one process: the same dense weights, losses and row gradients.

Impressions have sample weights, so that the ranks' shares of a batch weigh more or less than their impressions.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.parallel.horovod_ranks import ROOT, run_ranks
from tests.support.tiny_dataset import tiny_groups, weighted, weighted_schema, write_dataset

pytestmark = pytest.mark.timeout(300)

PROGRAM = Path(__file__).with_name("step_program.py")
RECORDS = 82
"""In 4 lanes of 21, 21, 20, 20 records, 2 a lane in a batch: the last of 11 batches has records of lanes 0 and 1."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("step")
    groups = weighted(tiny_groups(RECORDS), lambda sample_id: sample_id * 7 % 4 / 2)
    write_dataset(folder / "data", {"train": groups}, schema=weighted_schema())
    return folder


@pytest.fixture(scope="module")
def alone(folder):
    out = folder / "alone"
    out.mkdir()
    subprocess.run(
        [sys.executable, PROGRAM, folder / "data", out],
        check=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    return np.load(out / "rank-0.npz")


# Of 3 ranks, rank 2 has lane 2 alone, which has nothing in the last step; of 5 ranks, rank 4 has no lane
@pytest.fixture(scope="module", params=[3, pytest.param(5, marks=pytest.mark.slow)])
def ranks(request, folder):
    out = folder / f"ranks-{request.param}"
    out.mkdir()
    result = run_ranks(
        request.param, sys.executable, PROGRAM, folder / "data", out, folder=folder / f"output-{request.param}"
    )
    assert result.status == 0, result.err
    return [np.load(out / f"rank-{rank}.npz") for rank in range(request.param)]


def test_losses_and_impressions_are_those_of_the_whole_batch_on_every_rank(alone, ranks):
    for rank in ranks:
        np.testing.assert_array_equal(rank["impressions"], alone["impressions"])
        np.testing.assert_array_equal(rank["weights"], alone["weights"])  # halves: sums without rounding
        np.testing.assert_allclose(rank["loss_sums"], alone["loss_sums"], rtol=1e-5)
    np.testing.assert_array_equal(sum(rank["shares"] for rank in ranks), alone["impressions"])
    empty = 2 if len(ranks) == 3 else 4
    assert ranks[empty]["shares"][-1] == 0


def test_dense_weights_and_optimizer_state_are_the_same_bits_on_all_ranks_and_those_of_one_process(alone, ranks):
    names = [name for name in alone.files if name.startswith("dense/")]
    assert len(names) > 8
    for name in names:
        for rank in ranks[1:]:
            np.testing.assert_array_equal(rank[name], ranks[0][name])
        # float32 sums in another order: some 1e-7 relative a step
        np.testing.assert_allclose(ranks[0][name], alone[name], rtol=1e-5, atol=1e-6)


def test_the_row_gradients_of_the_shares_add_up_to_those_of_the_whole(alone, ranks):
    np.testing.assert_allclose(sum(rank["row_sums"] for rank in ranks), alone["row_sums"], rtol=1e-3, atol=2e-5)


def test_a_share_that_is_not_finite_stops_all_ranks_and_only_its_own_is_at_fault(ranks):
    for number, rank in enumerate(ranks):
        assert rank["broken"].tolist() == [False, number == 1, True]


def test_one_ranks_wish_to_stop_reaches_all(ranks):
    assert [rank["requests"].tolist() for rank in ranks] == [[[0, 0, 0], [1, 0, 0]]] * len(ranks)
