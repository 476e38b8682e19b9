"""What a server's rows cost in memory."""

from pathlib import Path

import numpy as np
import pytest

from tests.parallel.store_clients import embedding, open_stores
from tests.support.server_processes import server_processes

ROWS = 4_519_540
"""Ids of Ali-CCP that are seen at least 20 times."""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_rows_of_ali_ccp_with_adams_slot_variables_fit_two_gigabytes(tmp_path):
    config = embedding("adam", embedding_dim=16)
    ids = np.random.default_rng(0).permutation(3 * ROWS)[:ROWS].astype(np.int64)
    with server_processes(1) as servers, open_stores(servers.servers, config, tmp_path) as (store,):
        for step, start in enumerate(range(0, ROWS, 200_000), start=1):
            part = np.sort(ids[start : start + 200_000])
            gradients = np.ones((len(part), 16), dtype=np.float32)
            store.push(store.prepare("main", part), gradients, impressions=1, step=step)
        assert store.num_rows("main") == ROWS
        status = Path(f"/proc/{servers.processes[0].pid}/status").read_text()
        resident_kb = int(status.split("VmRSS:")[1].split()[0])
        # 4.5 M rows of 200 bytes, 8 bytes of id each, 19 of hash table, 0.4 GB of Python and buffers
        assert resident_kb * 1024 < 1.6e9
