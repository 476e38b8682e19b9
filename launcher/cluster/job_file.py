"""A job file: the settings of a task as ``esmm TASK --print-config`` writes them, a name, and where it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from launcher.cluster.cluster_config import ClusterConfig

Task = Literal["train", "preprocess", "evaluate", "predict", "export"]
TASKS: tuple[str, ...] = get_args(Task)


@dataclass(frozen=True, kw_only=True)
class JobFile:
    """A job, checked."""

    name: str
    task: Task
    namespace: str | None = None
    """None: not said in the file; ``in_namespace`` says it."""

    given: Mapping[str, Any]
    """The task's settings as the file has them, places as pvc:// and URIs."""

    settings: Mapping[str, Any]
    """All settings of the task as its pods see them (plain values; places in claims as paths)."""

    claims: tuple[str, ...]
    """Claims that settings name, in order."""

    cluster: ClusterConfig

    @property
    def known_namespace(self) -> str:
        """The namespace; it must have been said."""
        assert self.namespace is not None, "use in_namespace"
        return self.namespace

    @property
    def run(self) -> str | None:
        """The run, as pods see it; a preprocess has none."""
        return self.settings.get("run")

    def in_namespace(self, namespace: str) -> "JobFile":
        """Return the job with its namespace decided."""
        return replace(self, namespace=namespace)


def read_job(source: Path | str) -> JobFile:
    """Read and check a job file.

    Args:
        source: The path of a file; or its text, as ``job.yaml`` of ConfigMap J holds it.

    Raises:
        ConfigError: Something is wrong; the message begins with FILE:LINE.
    """
    raise NotImplementedError


def job_yaml(job: JobFile) -> str:
    """Return the text of a job file with every setting of ``cluster`` resolved; ``read_job`` reads it back."""
    raise NotImplementedError
