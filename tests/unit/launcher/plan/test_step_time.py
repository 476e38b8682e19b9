from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.plan.constants import read_constants
from launcher.plan.step_time import step_time
from launcher.plan.workload import Towers
from tests.unit.launcher.plan.plain_numbers import WORKLOAD, ShareOfIds, cluster, zero_constants

SHIPPED = read_constants(None)


def ring_s(workers: int) -> float:
    """Return the time of the towers' gradients on CLUSTER's network."""
    return 2 * (workers - 1) / workers * 4 * WORKLOAD.towers.parameters / 1e9


def test_reading_costs_by_record_impression_and_id():
    constants = zero_constants(read_us_per_record=10.0, read_us_per_impression=1.0, read_ns_per_id=100.0)
    step = step_time(WORKLOAD, cluster(servers=0), constants)
    # 100 records, 1,000 impressions, 10,000 ids
    assert step.worker_work["read"] == pytest.approx(0.001 + 0.001 + 0.001)
    assert step.seconds == pytest.approx(0.003)


def test_reading_hides_behind_the_step_and_the_step_behind_reading():
    reading = zero_constants(read_ns_per_id=1000.0, step_ms=4.0)  # 10 ms of reading
    assert step_time(WORKLOAD, cluster(servers=0), reading).seconds == pytest.approx(0.010)
    assert step_time(WORKLOAD, cluster(servers=0), replace(reading, step_ms=25.0)).seconds == pytest.approx(0.025)


def test_contention_adds_a_part_of_what_could_overlap():
    constants = zero_constants(read_ns_per_id=1000.0, step_ms=4.0, contention=0.5)
    # chain: 10 ms of reading; cores: (10 + 4) ms of work on 2 cores
    assert step_time(WORKLOAD, cluster(servers=0), constants).seconds == pytest.approx(0.010 + 0.5 * 0.007)


def test_towers_run_on_all_cores_of_a_worker():
    constants = zero_constants(tower_gflops=1.0)
    flops = 1000 * 6 * 2 * 1010
    step = step_time(WORKLOAD, cluster(servers=0, worker_cores=4), constants)
    assert step.worker_work["towers"] == pytest.approx(flops / 1e9)
    assert step.path["towers"] == pytest.approx(flops / 1e9 / 4)


def test_rows_and_gradients_cross_the_network_once_each():
    step = step_time(WORKLOAD, cluster(update_mode="bounded"), zero_constants())
    ids, values = 1000 * 8, 1000 * 16 * 4
    assert step.worker_bytes == (values, ids + ids + values)  # rows in; ids to pull, ids and gradients to push out
    assert step.server_bytes == (ids + ids + values, values)
    assert step.path["network"] == pytest.approx((ids + values) / 1e9)  # the push alone: rows come ahead of the step
    assert step.bounds["reading"] == pytest.approx((ids + values) / 1e9)


def test_all_workers_meet_on_a_server_s_link():
    step = step_time(WORKLOAD, cluster(workers=4, update_mode="bounded"), zero_constants())
    # Each pushes the 250 different ids of its share; the server's link takes them one after the other
    assert step.path["network"] - ring_s(4) == pytest.approx(4 * 250 * (8 + 64) / 1e9)
    two = step_time(WORKLOAD, cluster(workers=4, servers=2, update_mode="bounded"), zero_constants())
    assert two.path["network"] - ring_s(4) == pytest.approx(2 * 250 * (8 + 64) / 1e9)


def test_half_wide_values_halve_the_bytes_of_values():
    step = step_time(WORKLOAD, cluster(wire_bytes=2, update_mode="bounded"), zero_constants())
    assert step.worker_bytes[0] == 1000 * 16 * 2


def test_in_sync_rows_of_other_ids_are_pulled_ahead():
    # 10 different ids a record, whatever came before: the next batch shares none with this one
    none_shared = step_time(WORKLOAD, cluster(), zero_constants(server_pull_ns_per_id=1000.0))
    assert none_shared.path["servers"] == 0
    # ... unless nothing is pulled ahead
    at_once = step_time(WORKLOAD, cluster(), zero_constants(server_pull_ns_per_id=1000.0, pull_ahead=0.0))
    assert at_once.path["servers"] == pytest.approx(0.001)

    class AllShared:
        def expected(self, records: float, impressions: float) -> float:
            return 1000.0

    shared = replace(WORKLOAD, unique=AllShared())
    step = step_time(shared, cluster(), zero_constants(server_pull_ns_per_id=1000.0))
    assert step.path["servers"] == pytest.approx(0.001)
    assert step.path["network"] == pytest.approx(2 * 1000 * (8 + 64) / 1e9)  # pull and push


def test_a_server_works_for_all_workers():
    constants = zero_constants(server_push_ns_per_id=1000.0, server_push_ns_per_value=100.0, server_call_ms=1.0)
    step = step_time(WORKLOAD, cluster(workers=2, servers=2, update_mode="bounded"), constants)
    # 2 workers, 500 different ids each, half of them here: 250 ids of 16 values
    assert step.server_work["pushes"] == pytest.approx(2 * (250 * 1e-6 + 250 * 16 * 1e-7 + 1e-3))


def test_each_call_waits_for_its_round_trips():
    constants = zero_constants(call_round_trips=2.0)
    step = step_time(WORKLOAD, cluster(network_ms=5.0, network_gbps=1e9), constants)
    assert step.path["round trips"] == pytest.approx(0.010)


def test_a_connection_carries_a_window_in_a_round_trip():
    constants = zero_constants(window_mb=0.01)
    step = step_time(WORKLOAD, cluster(network_ms=5.0, network_gbps=1e9, servers=2), constants)
    # 72,000 bytes to two servers: 3.6 windows to each
    assert step.path["round trips"] == pytest.approx(3.6 * 0.005)


def test_an_allreduce_passes_each_byte_almost_twice():
    towers = Towers(labels=1, inputs=1000, hidden_units=())
    constants = zero_constants(allreduce_ms=1.0, allreduce_round_trips=3.0)
    step = step_time(replace(WORKLOAD, towers=towers), cluster(workers=4, network_ms=1.0), constants)
    dense = 4 * 1001
    # 2 (n - 1) / n of the bytes; 3 round trips, and one for each rank after the second
    assert step.path["allreduce"] == pytest.approx(0.001)
    assert step.path["round trips"] == pytest.approx(0.003 + 0.002)
    pushed = 4 * 250 * (8 + 64) / 1e9
    assert step.path["network"] == pytest.approx(1.5 * dense / 1e9 + pushed)
    assert "allreduce" not in step_time(WORKLOAD, cluster(), constants).path


def test_processes_of_one_machine_share_its_cores():
    constants = zero_constants(step_ms=10.0, server_call_ms=2.0)
    step = step_time(WORKLOAD, cluster(workers=3, servers=2, shared_cores=2.0, update_mode="bounded"), constants)
    # 3 workers of 10 ms, 2 servers that answer a pull and a push of each
    assert step.bounds["shared cores"] == pytest.approx((3 * 0.010 + 2 * 3 * 2 * 0.002) / 2)


def test_ranks_that_ask_each_other_take_cores_from_the_work():
    constants = zero_constants(step_ms=9.0, allreduce_busy_cores=0.4)
    two = cluster(workers=2, shared_cores=2.0, worker_cores=1.0, update_mode="bounded")
    step = step_time(WORKLOAD, two, constants)
    assert step.bounds["shared cores"] == pytest.approx(2 * 0.009 / (2 - 0.8))
    assert step.bounds["worker cores"] == pytest.approx(0.009 / 0.6)
    crowded = step_time(WORKLOAD, cluster(workers=8, shared_cores=2.0, update_mode="bounded"), constants)
    assert crowded.bounds["shared cores"] == pytest.approx(8 * 0.009 / 1.0)  # half of 2 cores
    alone = step_time(WORKLOAD, cluster(worker_cores=1.0, update_mode="bounded"), constants)
    assert alone.bounds["worker cores"] == pytest.approx(0.009)


SIZES = st.fixed_dictionaries(
    {
        "workers": st.integers(1, 16),
        "servers": st.integers(1, 16),
        "network_gbps": st.floats(0.01, 100),
        "network_ms": st.floats(0, 20),
        "worker_cores": st.floats(1, 32),
        "server_cores": st.floats(1, 32),
        "update_mode": st.sampled_from(["sync", "bounded"]),
    }
)


@pytest.mark.parametrize("name", ["network_gbps", "worker_cores", "server_cores", "network_ms"])
@given(sizes=SIZES, factor=st.floats(1, 100))
def test_more_of_what_a_step_needs_never_slows_it(name: str, sizes: dict, factor: float):
    before = step_time(WORKLOAD, cluster(**sizes), SHIPPED)
    better = sizes[name] / factor if name == "network_ms" else sizes[name] * factor
    after = step_time(WORKLOAD, cluster(**(sizes | {name: better})), SHIPPED)
    assert after.seconds <= before.seconds * (1 + 1e-9)


@given(sizes=SIZES)
def test_a_step_is_no_shorter_than_any_of_its_bounds(sizes: dict):
    step = step_time(WORKLOAD, cluster(**sizes), SHIPPED)
    assert step.seconds >= max(step.bounds.values())
    assert step.bounds["steps"] == pytest.approx(sum(step.path.values()))


def test_a_batch_without_ids_still_takes_a_push():
    step = step_time(replace(WORKLOAD, unique=ShareOfIds(0.0)), cluster(), zero_constants(server_call_ms=1.0))
    assert step.server_work == {"pulls": 0.0, "pushes": pytest.approx(0.001)}
