"""From a word on the command line to the job that it names."""

from pathlib import Path

from esmm_dist.errors import ConfigError
from esmm_dist.train.run_folder import LOG_NAME
from launcher.jobs.backend import JobBackend
from launcher.run_files.run_record import RECORD_NAME
from launcher.run_files.run_status import STATUS_NAME

RUN_FILES = frozenset({STATUS_NAME, RECORD_NAME, LOG_NAME})
"""A folder with one of them is the run of a training: elastic, of ``esmm local``, or any other."""


def is_local(word: str, namespace: str | None) -> bool:
    """Return whether a word names a run of this machine: a URI, a path with '/', or a folder that holds a run.

    Args:
        word: what the user typed
        namespace: namespace that the user gave; with one it is a job of a cluster
    """
    if namespace is not None:
        return False
    if "/" in word or word in (".", ".."):
        return True
    return any((Path(word) / name).is_file() for name in RUN_FILES)


def find_job(word: str, namespace: str | None = None) -> JobBackend:
    """Return the job that a word names. Whether there is one is found by its verbs.

    Args:
        word: folder or URI of a local run, or the name of a cluster job
        namespace: namespace of the cluster job. None: that of the kubeconfig

    Raises:
        ConfigError: It names no local run, and no cluster is known that could have the job.
        ClusterError: The kubeconfig cannot be used.
    """
    # Each backend imports what the other does without
    if is_local(word, namespace):
        from launcher.jobs.local_run import LocalRun

        return LocalRun(word)
    from launcher.cluster.api.connect import cluster_is_known, connect

    if namespace is None and not cluster_is_known():
        raise ConfigError(
            f"'{word}' is not a run: {_local_trouble(word)}, and no cluster is known that could have "
            "a job of this name (KUBECONFIG is not set, and there is no ~/.kube/config). A run is given as its folder "
            "or URI."
        )
    from launcher.jobs.cluster_job import ClusterJob

    return ClusterJob(connect(namespace), word)


def _local_trouble(word: str) -> str:
    if not Path(word).is_dir():
        return "there is no such folder"
    return f"the folder has none of {', '.join(sorted(RUN_FILES))}"
