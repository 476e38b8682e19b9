import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.plan.constants import read_constants
from launcher.plan.memory import sizes
from tests.unit.launcher.plan.plain_numbers import WORKLOAD, cluster, zero_constants


def test_a_row_is_its_columns_slot_variables_step_count_and_id():
    found = sizes(WORKLOAD, cluster(), zero_constants(index_bytes_per_row=30.0, server_base_mb=200.0))
    row = 4 * (16 + 16) + 4 + 4 + 8
    assert found.table_bytes == 1_000_000 * (row + 30)
    assert found.server_bytes == found.table_bytes + 200e6


def test_a_checkpoint_holds_rows_slot_variables_ids_steps_and_counts():
    found = sizes(WORKLOAD, cluster(servers=2), zero_constants(save_ns_per_byte=10.0, restore_ns_per_byte=20.0))
    assert found.checkpoint_bytes == 1_000_000 * (4 * 32 + 8 + 8 + 8)
    assert found.save_s == pytest.approx(found.checkpoint_bytes / 2 * 1e-8)  # two servers write a half each
    assert found.restore_s == pytest.approx(found.checkpoint_bytes / 2 * 2e-8)
    assert found.run_disk_bytes == 4 * found.checkpoint_bytes  # 3 are kept, one is being written


def test_an_embedded_table_is_in_the_worker():
    constants = zero_constants(worker_base_mb=500.0, worker_bytes_per_id=100.0)
    alone, of_two = sizes(WORKLOAD, cluster(servers=0), constants), sizes(WORKLOAD, cluster(workers=2), constants)
    assert alone.server_bytes == 0
    assert alone.worker_bytes == 500e6 + 10_000 * 100 + alone.table_bytes
    assert of_two.worker_bytes == 500e6 + 5_000 * 100


def test_pushes_of_all_workers_lie_on_a_server():
    found = sizes(WORKLOAD, cluster(workers=2, servers=2), zero_constants(server_bytes_per_pushed_value=12.0))
    # 500 different ids of each of 2 workers, half of them here
    assert found.server_bytes - found.table_bytes / 2 == pytest.approx(500 * 16 * 12)


def test_a_data_set_takes_its_ids():
    found = sizes(WORKLOAD, cluster(), zero_constants(disk_bytes_per_id=2.0))
    assert found.data_disk_bytes == 100_000 * 100 * 2  # records of 100 ids


@given(servers=st.integers(1, 64), workers=st.integers(1, 64))
def test_more_servers_never_need_more_memory_each(servers: int, workers: int):
    constants = read_constants(None)
    fewer = sizes(WORKLOAD, cluster(servers=servers, workers=workers), constants)
    more = sizes(WORKLOAD, cluster(servers=servers + 1, workers=workers), constants)
    assert more.server_bytes < fewer.server_bytes
