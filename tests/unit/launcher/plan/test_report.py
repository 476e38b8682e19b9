from dataclasses import replace

import pytest

from launcher.plan.report import bottleneck, plan_lines, plan_mapping
from launcher.plan.suggestion import Suggestion, evaluate_cluster
from tests.unit.launcher.plan.plain_numbers import WORKLOAD, cluster, zero_constants


@pytest.mark.parametrize(
    ("constants", "changes", "sentence"),
    [
        ({"read_ns_per_id": 1e3}, {}, "Reading and finding unique ids limits it"),
        ({"read_ns_per_id": 1e3}, {"worker_cores": 0.5}, "The workers' cores limit it"),
        (
            {"server_pull_ns_per_id": 1e3},
            {"server_cores": 0.5, "update_mode": "bounded"},
            "The servers' cores limit it",
        ),
        ({"server_push_ns_per_id": 1e3}, {"server_cores": 4}, "Waiting for the servers limits it: more servers"),
        ({"allreduce_ms": 10.0}, {"workers": 2}, "Adding up the towers' gradients limits it"),
        ({"step_ms": 10.0}, {}, "The fixed cost of a step limits it: larger batches help"),
        ({"pool_ns_per_value": 100.0}, {}, "Pooling limits it"),
        ({"tower_gflops": 0.1}, {}, "The towers limit it"),
        ({"step_ms": 10.0}, {"workers": 4, "shared_cores": 1.0}, "The cores that all processes share limit it"),
        ({"embedded_push_ns_per_id": 1e4}, {"servers": 0}, "The table within the worker limits it"),
        ({"step_ms": 100.0}, {"network_gbps": 0.001}, "The network limits it: a faster one"),  # 576 ms for the push
        ({}, {"network_gbps": 0.001}, "The workers' links limit it"),  # 640 ms for the ids of pulls too
        ({"call_round_trips": 2.0}, {"network_ms": 50.0}, "The network's round trips limit it"),
        ({"client_push_ns_per_id": 1e3}, {}, "Sending gradients limits it: more workers help"),
    ],
)
def test_the_bottleneck_is_named_with_its_remedy(constants: dict, changes: dict, sentence: str):
    planned = evaluate_cluster(WORKLOAD, cluster(**changes), zero_constants(**constants))
    assert bottleneck(planned).startswith(sentence)


def test_the_report_says_what_was_planned_what_it_takes_and_where_the_constants_are_from():
    constants = zero_constants(step_ms=10.0, start_s=2.0)
    planned = evaluate_cluster(WORKLOAD, cluster(workers=2), constants)
    other = evaluate_cluster(WORKLOAD, cluster(servers=0), constants)
    lines = plan_lines(WORKLOAD, constants, planned, Suggestion(candidate=other, reason="so"), 1e12)
    text = "\n".join(lines)
    assert lines[0] == "1 M impressions, 1 M ids, D = 16, 1 pass: 1 k steps of 1 k impressions"
    assert "With 2 workers and 1 server:" in lines
    assert "Suggested: 1 worker, the table within it:" in text
    assert "Constants: measured on here by here" in text
    assert "Warning" not in text


def test_one_process_alone_has_no_network():
    planned = evaluate_cluster(WORKLOAD, cluster(servers=0), zero_constants(step_ms=1.0))
    lines = plan_lines(WORKLOAD, zero_constants(), planned, Suggestion(candidate=planned, reason="so"), 1e12)
    assert "network" not in "\n".join(lines)


def test_a_server_that_is_too_small_is_told():
    planned = evaluate_cluster(WORKLOAD, cluster(), zero_constants())
    lines = plan_lines(WORKLOAD, zero_constants(), planned, Suggestion(candidate=planned, reason="so"), 100e6)
    assert "Warning: a server needs 144 MB, more than 80% of its 100 MB." in "\n".join(lines)
    assert "Suggested: this (so)." in lines


def test_a_program_gets_the_same():
    constants = zero_constants(step_ms=10.0)
    planned = evaluate_cluster(WORKLOAD, cluster(), constants)
    other = evaluate_cluster(replace(WORKLOAD, epochs=2), cluster(), constants)
    mapping = plan_mapping(WORKLOAD, constants, planned, Suggestion(candidate=other, reason="so"))
    assert mapping["steps"] == 1000
    assert mapping["plan"]["step"]["seconds"] == planned.step.seconds
    assert mapping["plan"]["cluster"]["workers"] == 1
    assert mapping["suggestion"]["reason"] == "so"
    assert mapping["constants"]["step_ms"] == 10.0
