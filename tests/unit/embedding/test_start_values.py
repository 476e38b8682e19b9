"""Start values are a function of (seed, id, column), and of nothing else."""

import subprocess
import sys

import numpy as np

from esmm_dist.embedding.start_values import StartValues
from esmm_dist.hashing import mix64

IDS = np.array([-5, 0, 7, 1 << 40, (1 << 62) + 3])


def test_a_start_value_is_the_hashed_cell_of_the_row_that_the_hashed_id_picks():
    dim, scale, seed = 3, 0.25, 11
    rows = StartValues(embedding_dim=dim, scale=scale, seed=seed).rows(IDS)
    for number, id_ in enumerate(IDS):
        pick = int(mix64(np.array([id_]), seed)[0]) >> 48  # one of 2^16 rows
        cells = mix64(np.arange(pick * dim, (pick + 1) * dim), seed + 1).tolist()
        expected = [(2 * (cell >> 40) / 2**24 - 1) * scale for cell in cells]  # 24 bits, uniform in [-scale, scale)
        np.testing.assert_allclose(rows[number], expected, rtol=1e-6, atol=1e-9)


def test_order_and_batch_do_not_matter():
    start = StartValues(embedding_dim=4, scale=1.0, seed=3)
    together = start.rows(IDS)
    np.testing.assert_array_equal(start.rows(IDS[::-1]), together[::-1])
    for number in range(len(IDS)):
        np.testing.assert_array_equal(start.rows(IDS[number : number + 1])[0], together[number])


def test_another_process_finds_the_same_values():
    code = (
        "import sys, numpy as np\n"
        "from esmm_dist.embedding.start_values import StartValues\n"
        f"rows = StartValues(embedding_dim=4, scale=0.01, seed=9).rows(np.array({IDS.tolist()}))\n"
        "sys.stdout.write(rows.tobytes().hex())\n"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert other == StartValues(embedding_dim=4, scale=0.01, seed=9).rows(IDS).tobytes().hex()


def test_seeds_ids_and_columns_differ():
    rows = StartValues(embedding_dim=8, scale=1.0, seed=1).rows(np.arange(50))
    assert len(np.unique(rows)) == rows.size
    assert not np.any(rows == StartValues(embedding_dim=8, scale=1.0, seed=2).rows(np.arange(50)))


def test_values_are_uniform_between_minus_and_plus_scale():
    values = StartValues(embedding_dim=16, scale=0.5, seed=1).rows(np.arange(20_000))
    assert values.dtype == np.float32
    assert values.min() >= -0.5
    assert values.max() < 0.5
    # of a uniform distribution of width 1: mean 0, variance 1/12; tolerances of six standard errors over 320,000 values
    assert abs(values.mean()) < 6 * (1 / 12) ** 0.5 / 320_000**0.5
    assert abs(values.var() - 1 / 12) < 6 * (1 / 180) ** 0.5 / 320_000**0.5


def test_scale_zero_starts_at_zero():
    assert not StartValues(embedding_dim=2, scale=0.0, seed=1).rows(IDS).any()
