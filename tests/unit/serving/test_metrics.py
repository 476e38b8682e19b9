import re
import subprocess
import sys
from pathlib import Path

from esmm_dist.serving.metrics import ServingMetrics, figures_of, forget_process

COUNTS = """
import os, sys
from pathlib import Path
import prometheus_client  # before the folder is named, as other modules do it
from esmm_dist.serving.metrics import ServingMetrics
metrics = ServingMetrics(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    metrics.requests.labels("score", "200").inc()
    metrics.duration.labels("score").observe(0.004)
    metrics.count_values({"item": 10}, {"item": 2})
metrics.in_flight.inc(int(sys.argv[2]))
metrics.version.set(int(sys.argv[2]))
print(os.getpid())
"""


def test_figures_of_several_processes_are_added_up(tmp_path: Path):
    pids = []
    for number in (2, 3):
        line = [sys.executable, "-c", COUNTS, str(tmp_path), str(number)]
        pids.append(int(subprocess.run(line, check=True, capture_output=True, text=True).stdout))
    lines = figures_of(tmp_path).decode().splitlines()
    assert 'esmm_serving_requests_total{path="score",status="200"} 5.0' in lines
    assert 'esmm_serving_request_duration_seconds_bucket{le="0.005",path="score"} 5.0' in lines
    assert 'esmm_serving_request_duration_seconds_bucket{le="0.0025",path="score"} 0.0' in lines
    assert 'esmm_serving_values_total{field="item"} 50.0' in lines
    assert 'esmm_serving_unknown_ids_total{field="item"} 10.0' in lines
    assert "esmm_serving_in_flight_requests 5.0" in lines
    assert "esmm_serving_model_version 3.0" in lines  # the newest, not a sum
    forget_process(tmp_path, pids[1])
    lines = figures_of(tmp_path).decode().splitlines()
    assert "esmm_serving_in_flight_requests 2.0" in lines
    assert 'esmm_serving_requests_total{path="score",status="200"} 5.0' in lines


def test_names_and_units_are_those_that_prometheus_asks_for():
    metrics = ServingMetrics()
    for counter in (metrics.requests, metrics.dropped, metrics.errors, metrics.values, metrics.unknown):
        assert counter._type == "counter"
    kinds = dict(re.findall(r"# TYPE (\S+) (\S+)", metrics.text().decode()))
    own = {name: kind for name, kind in kinds.items() if name.startswith("esmm_serving_")}
    assert len(own) > 15
    for name, kind in own.items():
        assert re.fullmatch(r"esmm_serving_[a-z_]+", name)
        if kind == "counter":
            assert name.endswith("_total")
        assert not re.search(r"_(ms|milliseconds|minutes|mb|kb)(_|$)", name)
    helps = dict(re.findall(r"# HELP (\S+) (.+)", metrics.text().decode()))
    assert all(helps[name] for name in own)
