"""Jobs for tests: the smallest file, and what it renders to."""

from typing import Any

import yaml

from launcher.cluster.certificates import Secrets
from launcher.cluster.job_file import JobFile, read_job
from launcher.cluster.objects.all import NEWEST, ApiVersions, render
from launcher.cluster.objects.manifest import Manifest, owned

NAMESPACE = "ml"
UID = "5b1c0f0e-3a57-4d0e-9d5c-0a4f2d3c7e11"

TASK_SETTINGS: dict[str, dict[str, Any]] = {
    "train": {"data": "pvc://clicks/data", "run": "pvc://models/run"},
    "synth": {"out": "pvc://clicks/raw"},
    "preprocess": {"raw": "pvc://clicks/raw", "out": "pvc://clicks/data", "schema": "aliccp"},
    "pipeline": {
        "raw": "s3://clicks/raw/{day:%Y/%m/%d}",
        "work": "pvc://models/pipeline",
        "publish": "s3://models/serving",
        "first_day": "2022-04-25",
        "preprocess": {"schema": "guidebook"},
    },
    "evaluate": {"data": "pvc://clicks/data", "run": "s3://models/run"},
    "predict": {"data": "pvc://clicks/data", "run": "s3://models/run", "out": "pvc://clicks/scores.parquet"},
    "export": {"run": "s3://models/run", "out": "pvc://clicks/model"},
    "report": {
        "runs": ["s3://models/run", "pvc://models/other"],
        "data": "pvc://clicks/data",
        "html": "s3://pages/run.html",
    },
    "stats": {"data": "pvc://clicks/data", "html": "s3://pages/data.html"},
    "serve": {"models": "pvc://models/serving"},
}

KEYS = ("token", "ca.crt", "server.crt", "server.key", "client.crt", "client.key")


def job_text(task: str = "train", *, name: str = "nightly", cluster: dict[str, Any] | None = None, **more: Any) -> str:
    """Return a job file."""
    settings = TASK_SETTINGS[task] | more
    return yaml.safe_dump(
        {"name": name, "task": task, **settings, "cluster": {"image": "esmm:1.0"} | (cluster or {})}, sort_keys=False
    )


def make_job(task: str = "train", **more: Any) -> JobFile:
    """Return a job in a namespace."""
    return read_job(job_text(task, **more)).in_namespace(NAMESPACE)


def fixed_secrets(job: JobFile) -> Secrets:
    """Return secrets that are the same each time."""
    return Secrets(files={key: f"<{key}>" for key in (KEYS if job.cluster.tls and job.task == "train" else KEYS[:1])})


def rendered(job: JobFile, *, api: ApiVersions = NEWEST, owner_uid: str | None = None) -> list[Manifest]:
    """Render with fixed secrets; all objects but the first have an owner if its uid is given."""
    first, *rest = render(job, fixed_secrets(job), api=api)
    return [first, *(rest if owner_uid is None else owned(rest, job.name, owner_uid))]


def find(manifests: list[Manifest], kind: str, name: str) -> Any:
    """Return one object."""
    [found] = [each for each in manifests if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def templates(manifests: list[Manifest]) -> list[Any]:
    """Return the pod templates of all workloads."""
    manifests = [
        each["spec"]["jobTemplate"] | {"kind": "Job"} if each["kind"] == "CronJob" else each for each in manifests
    ]
    found = [each["spec"]["template"] for each in manifests if each["kind"] in ("StatefulSet", "Job", "Deployment")]
    for each in manifests:
        if each["kind"] == "MPIJob":
            found += [replicas["template"] for replicas in each["spec"]["mpiReplicaSpecs"].values()]
    return found
