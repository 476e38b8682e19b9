from dataclasses import replace

import pytest

from launcher.plan.suggestion import FAIR_SHARE, PlanLimits, least_servers, suggest
from tests.unit.launcher.plan.plain_numbers import WORKLOAD, cluster, zero_constants

ROW = 4 * 32 + 16
FREE = PlanLimits(memory_bytes=1e12)


def test_a_table_that_fits_stays_in_the_worker():
    assert least_servers(WORKLOAD, cluster(), zero_constants(), FREE) == 0


def test_servers_are_as_many_as_hold_the_table():
    # 1 M rows of 144 bytes; 0.8 of 50 MB is planned for
    limits = PlanLimits(memory_bytes=50e6)
    assert least_servers(WORKLOAD, cluster(), zero_constants(), limits) == -(-1_000_000 * ROW // 40_000_000) == 4
    # 10 MB of each server are its own
    assert least_servers(WORKLOAD, cluster(), zero_constants(server_base_mb=10.0), limits) == 5


def test_several_workers_need_a_server_even_for_a_small_table():
    assert least_servers(WORKLOAD, cluster(), zero_constants(), replace(FREE, workers=2)) == 1


def test_workers_are_added_while_their_cores_are_of_use():
    # 100 ms of work a batch that workers share, and 10 ms a step that they do not: n workers take 100 / n + 10 ms
    constants = zero_constants(read_us_per_impression=100.0, client_call_ms=5.0)
    shape = cluster(worker_cores=1.0, server_cores=1e-9, update_mode="bounded")
    found = suggest(replace(WORKLOAD, ids=10), shape, constants, FREE).candidate
    value = {n: 1 / (found.cores / found.cluster.workers * n * (0.1 / n + 0.01)) for n in (1, 2, 3, 4, 6, 8)}
    best = 1 / 0.1  # one worker with the table in it
    assert found.cluster.workers == max(n for n, each in value.items() if each >= FAIR_SHARE * best)


def test_with_hours_the_fewest_cores_that_meet_them_are_suggested():
    constants = zero_constants(read_us_per_impression=36_000.0)  # 36 s a step: 1,000 steps take 10 h alone
    shape = cluster(worker_cores=1.0, server_cores=1.0)
    four = suggest(WORKLOAD, shape, constants, replace(FREE, hours=2.6))
    assert (four.candidate.cluster.workers, four.candidate.cluster.servers) == (4, 1)
    assert four.candidate.hours == pytest.approx(2.5, rel=1e-4)
    assert "the fewest cores that end within 2.6 h" in four.reason
    never = suggest(WORKLOAD, shape, constants, replace(FREE, hours=0.01))
    assert never.candidate.cluster.workers == 64
    assert "none of those tried ends within 0.01 h; this is the fastest" in never.reason


def test_a_given_number_is_kept():
    found = suggest(WORKLOAD, cluster(), zero_constants(step_ms=1.0), replace(FREE, servers=3)).candidate
    assert found.cluster.servers == 3
    found = suggest(WORKLOAD, cluster(), zero_constants(step_ms=1.0), replace(FREE, workers=5)).candidate
    assert found.cluster.workers == 5
    assert found.cluster.servers >= 1
