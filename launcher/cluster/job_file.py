"""A job file: the settings of a task as ``esmm TASK --print-config`` writes them, a name, and where it runs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from esmm_dist.config import build_from, to_mapping
from esmm_dist.errors import ConfigError
from esmm_dist.near_names import nearest_hint
from esmm_dist.serving.config import ServeConfig
from esmm_dist.yaml_text import YamlText, read_text
from launcher.cluster import names
from launcher.cluster.carried_files import carry_files
from launcher.cluster.cluster_config import ClusterConfig
from launcher.cluster.quantities import bytes_of, cores_of
from launcher.cluster.schedule_config import ScheduleConfig, read_schedule
from launcher.cluster.task_settings import (
    IN_RANKS,
    fetched_settings,
    own_keys,
    scratch_claim,
    stored_places,
    task_settings,
)
from launcher.tasks import TASKS, TaskName
from preprocess.config import PreprocessConfig

TRAIN_ONLY = ("servers", "workers", "driver", "backend", "worker_node_selector")
METRICS = ("metrics_namespace", "service_monitor")
"""Settings of ``cluster`` that mean nothing to a task of one pod, nor the first ones to pods that answer."""

OPERATOR_TAKES = {"-server": "servers", "-worker": "workers", "-serving": "pods that answer"}
"""What has the name of a Service, by its end."""

TABLE_ENDINGS = (".parquet", ".pq", ".csv", ".csv.gz")
"""By which the output of predict is one file."""


@dataclass(frozen=True, kw_only=True)
class JobFile:
    """A job, checked."""

    name: str
    task: TaskName
    namespace: str | None = None
    """None: the file does not have it; ``in_namespace`` decides."""

    given: Mapping[str, Any]
    """The task's settings as the file has them, places as pvc:// and URIs."""

    settings: Mapping[str, Any]
    """All settings of the task as its pods see them (plain values; places in claims as paths)."""

    claims: tuple[str, ...]
    """Claims that settings name, in order."""

    cluster: ClusterConfig

    schedule: ScheduleConfig | None = None
    """When its task runs, again and again. None: once."""

    files: Mapping[str, str] = field(default_factory=dict)
    """Texts of the files that it takes along, by name."""

    @property
    def known_namespace(self) -> str:
        """The namespace, once it is decided."""
        assert self.namespace is not None, "use in_namespace"
        return self.namespace

    @property
    def run(self) -> str | None:
        """The run, as pods see it; a preprocess has none."""
        return self.settings.get("run")

    @property
    def fetched(self) -> Mapping[str, str]:
        """URI of each setting that names data to be copied into the workers' pods."""
        return stored_places(self.given, fetched_settings(self.task, self.cluster.pod.workers))

    def in_namespace(self, namespace: str) -> "JobFile":
        """Return the job with its namespace decided."""
        return replace(self, namespace=namespace)

    def with_servers(self, count: int) -> "JobFile":
        """Return the job on another number of servers.

        Raises:
            ConfigError: There cannot be so many.
        """
        return replace(self, cluster=replace(self.cluster, servers=replace(self.cluster.servers, count=count)))

    def with_replicas(self, least: int, most: int) -> "JobFile":
        """Return a serve job with another number of pods.

        Args:
            least: number of pods
            most: number up to which the autoscaler goes; as ``least``: there is none

        Raises:
            ConfigError: There cannot be so many.
        """
        pods = replace(self.cluster.serve, min=least, max=most if most != least else None)
        return replace(self, cluster=replace(self.cluster, serve=pods))


def read_job(source: Path | str, *, where: str = names.JOB_KEY) -> JobFile:
    """Read and check a job file.

    Args:
        source: path of a file (a ``Path``); or its text (a ``str``)
        where: name of a text in errors; a file goes by its path

    Raises:
        ConfigError: Something is wrong; the message begins with FILE:LINE.
    """
    text = _open(source, where)
    data = text.data
    name, task, namespace = _name(text), _task(text), _namespace(text)
    schedule = read_schedule(text, task)
    if "cluster" not in data:
        raise text.error([], "cluster is missing: where the job runs. Add it, with at least 'cluster: {image: IMAGE}'.")
    cluster = build_from(text, ClusterConfig, data["cluster"], ["cluster"])
    given = {key: value for key, value in data.items() if key not in own_keys(task)}
    given, files = carry_files(task, given, text, source.parent if isinstance(source, Path) else None)
    settings, claims = task_settings(task, given, text, files, fetched_settings(task, cluster.pod.workers))
    if cluster.pod.scratch is not None:
        claims = tuple(dict.fromkeys((*claims, scratch_claim(cluster.pod.scratch, text))))
    _check_use(task, cluster, claims, text)
    _check_ranks(task, cluster, settings, text)
    if task == "preprocess":
        settings = _fit_preprocess(settings, cluster, text, [])
    if task == "serve":
        settings |= _fit_serve(given, cluster, text)
    if task == "pipeline":
        # What the file leaves out has the defaults of preprocess, and memory_gb is one of them
        whole = {f.name: f.default for f in fields(PreprocessConfig)} | settings["preprocess"]
        fitted = _fit_preprocess(whole, cluster, text, ["preprocess"])
        settings["preprocess"] = settings["preprocess"] | {"workers": fitted["workers"]}
    return JobFile(
        name=name,
        task=task,
        namespace=namespace,
        given=given,
        settings=settings,
        claims=claims,
        cluster=cluster,
        schedule=schedule,
        files=files,
    )


@lru_cache(maxsize=8)
def read_submitted_job(text: str, *, where: str) -> JobFile:
    """Read the job file that ConfigMap J holds: while it stays the same, it is parsed and checked once."""
    return read_job(text, where=where)


def job_yaml(job: JobFile) -> str:
    """Return the text of a job file with every setting of ``cluster`` resolved; ``read_job`` reads it back."""
    cluster = to_mapping(job.cluster)
    if job.task == "train":
        cluster["workers"]["start"] = job.cluster.workers.first
    for name in _unused(job.task):
        del cluster[name]
    head: dict[str, Any] = {"name": job.name, "task": job.task, "namespace": job.namespace}
    if job.schedule is not None:
        head["schedule"] = to_mapping(job.schedule)
    whole = {key: value for key, value in head.items() if value is not None} | {**job.given, "cluster": cluster}
    if job.files:
        whole["files"] = dict(job.files)
    # Escapes what is not ASCII: PyYAML reads U+0085 and U+2028 as line breaks
    return yaml.safe_dump(whole, sort_keys=False, width=120)


def _open(source: Path | str, where: str) -> YamlText:
    if isinstance(source, str):
        return YamlText(source, where=where)
    return YamlText(read_text(source), where=str(source))


def _name(text: YamlText) -> str:
    if "name" not in text.data:
        raise text.error([], "name is missing: what the job is called, such as 'name: nightly'. Add it.")
    name = text.data["name"]
    if isinstance(name, str) and name.endswith(names.RESERVED_END):
        raise text.error(
            ["name"],
            f"name is '{name}', and ConfigMap {name} is where a job '{name.removesuffix(names.RESERVED_END)}' would "
            f"publish. Choose a name that does not end with '{names.RESERVED_END}'.",
        )
    if not isinstance(name, str) or not names.is_job_name(name):
        raise text.error(
            ["name"],
            f"name is {name!r}. Use 1 .. {names.MOST_NAME} lower case letters, digits and '-', beginning with a letter "
            "and not ending with '-': the names of pods and services are made of it.",
        )
    return name


def _task(text: YamlText) -> TaskName:
    if "task" not in text.data:
        raise text.error([], f"task is missing: what the job does. Add it: one of {', '.join(TASKS)}.")
    given = text.data["task"]
    for task in TASKS:
        if given == task:
            return task
    raise text.error(["task"], f"there is no task {given!r}.{nearest_hint(str(given), TASKS)}")


def _namespace(text: YamlText) -> str | None:
    namespace = text.data.get("namespace")
    if namespace is not None and not (isinstance(namespace, str) and names.is_label(namespace)):
        raise text.error(["namespace"], f"namespace is {namespace!r}, which no namespace can be called.")
    return namespace


def _unused(task: TaskName) -> tuple[str, ...]:
    """Return the settings of ``cluster`` that mean nothing to a task."""
    if task == "train":
        return ("pod", "serve")
    return (*TRAIN_ONLY, "pod") if task == "serve" else (*TRAIN_ONLY, *METRICS, "serve")


def _own(task: TaskName) -> str:
    """Return which settings say what the pods of a task are."""
    if task == "train":
        return "A training has servers, workers and driver."
    if task == "serve":
        return "Task serve has cluster.serve."
    return f"A task of one pod such as {task} has cluster.pod."


def _check_use(task: TaskName, cluster: ClusterConfig, claims: tuple[str, ...], text: YamlText) -> None:
    """Check that nothing in ``cluster`` is without effect, and that no other job's objects are called the same."""
    written = text.data["cluster"]
    for setting in _unused(task):
        if setting in written:
            whose = {"pod": "tasks of one pod", "serve": "task: serve"}.get(setting, "task: train")
            if setting in METRICS:
                whose = "task: train and task: serve"
            raise text.error(["cluster", setting], f"cluster.{setting} is for {whose}. Leave it out. {_own(task)}")
    end = names.operator_takes(text.data["name"]) if cluster.backend == "mpijob" else None
    if end is not None:
        raise text.error(
            ["name"],
            f"name ends with '{end}', and with backend: mpijob the operator makes a Service of this name, which is "
            f"that of another job's {OPERATOR_TAKES[end]}. Choose another name.",
        )
    for claim in cluster.claims:
        if claim not in claims:
            named = ", ".join(claims) or "none"
            raise text.error(
                ["cluster", "claims", claim],
                f"cluster.claims has '{claim}', but no setting leads there. Settings name: {named}. Write "
                f"pvc://{claim}/PATH in one, or leave it out.",
            )


def _check_ranks(task: str, cluster: ClusterConfig, settings: Mapping[str, Any], text: YamlText) -> None:
    """Check that several processes can share a task of one pod."""
    if cluster.pod.workers == 1:
        return
    if task not in IN_RANKS:
        raise text.error(
            ["cluster", "pod", "workers"],
            f"cluster.pod.workers is for {' and '.join(IN_RANKS)}. Leave it out; task {task} has settings of its own "
            "for its processes, if it has more than one.",
        )
    out = str(settings.get("out", ""))
    if "://" in out and settings.get("raw") is None:
        raise text.error(
            ["out"],
            f"out is {out}, which is copied there by one process, and cluster.pod.workers is {cluster.pod.workers}. "
            "Write pvc://CLAIM/PATH, or score a raw log (raw) into a folder of the store.",
        )
    if settings.get("raw") is not None and out.endswith(TABLE_ENDINGS):
        raise text.error(
            ["out"],
            f"out is {out}, one file, and {cluster.pod.workers} processes (cluster.pod.workers) share the parts of a "
            "folder. Give a folder: a name without an ending, such as scores.",
        )


def _fit_serve(given: Mapping[str, Any], cluster: ClusterConfig, text: YamlText) -> dict[str, Any]:
    """Return the settings that ``cluster.serve`` tells: the model's name, and a process for each core of a pod."""
    try:
        name = ServeConfig(models=str(given["models"]), name=cluster.serve.model).name
    except ConfigError as e:
        raise text.error(["cluster", "serve", "model"], str(e)) from e
    workers = max(1, math.floor(cores_of(cluster.serve.cpu)))
    return {"name": name, "workers": given.get("workers", workers)}


def _fit_preprocess(
    settings: dict[str, Any], cluster: ClusterConfig, text: YamlText, group: list[str | int]
) -> dict[str, Any]:
    """Return the settings with as many processes as the pod has cores: in a pod all of the node's look usable.

    Args:
        settings: those of preprocess
        cluster: where it runs
        text: the job file
        group: where the settings stand in it
    """
    written = text.data if not group else text.data.get(str(group[0]), {})
    memory = bytes_of(cluster.pod.memory)
    if settings["memory_gb"] * 1e9 > memory:
        raise text.error(
            [*group, "memory_gb"] if "memory_gb" in written else ["cluster", "pod", "memory"],
            f"memory_gb is {settings['memory_gb']}, but the pod has cluster.pod.memory: {cluster.pod.memory}, "
            f"{memory / 1e9:.2f} GB. Set less, or a larger pod.",
        )
    workers = settings["workers"] or max(1, math.floor(cores_of(cluster.pod.cpu)))
    return {**settings, "workers": workers}
