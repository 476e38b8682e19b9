"""Job files for the fake cluster, and looks into it."""

import json
from pathlib import Path
from typing import Any

from tests.fake_kubernetes.server import FakeCluster

JOB = """\
name: nightly
task: train
data: pvc://data/aliccp
run: pvc://data/runs/nightly
cluster:
  image: registry.example/esmm:1
  servers: {count: 2}
  workers: {min: 1, max: 4, start: 2}
  claims:
    data: {size: 10Gi}
"""

TASK = """\
name: prepare
task: preprocess
out: pvc://data/aliccp
raw: pvc://data/raw
schema: pvc://data/schema.yaml
cluster: {image: "registry.example/esmm:1", claims: {data: {size: 1Gi}}}
"""

SCHEDULE = """\
name: every-night
task: pipeline
schedule: "0 4 * * *"
raw: pvc://data/raw/{day}
work: pvc://data/pipeline
publish: pvc://data/models
first_day: 2022-04-25
preprocess: {schema: guidebook}
cluster: {image: "registry.example/esmm:1", claims: {data: {size: 1Gi}}}
"""

SERVE = """\
name: shop
task: serve
models: pvc://data/models
cluster: {image: "registry.example/esmm:1", serve: {max: 4}, claims: {data: {size: 1Gi}}}
"""


def write(folder: Path, text: str) -> str:
    path = folder / "job.yaml"
    path.write_text(text)
    return str(path)


def published(cluster: FakeCluster, namespace: str = "default") -> Any:
    found = cluster.store.find("configmaps", namespace, "nightly-status") or {}
    return json.loads((found.get("data") or {}).get("status.json") or "{}")


def ranks(cluster: FakeCluster) -> Any:
    return published(cluster).get("ranks", -1)


def last_json(text: str) -> Any:
    return json.loads(text.splitlines()[-1])
