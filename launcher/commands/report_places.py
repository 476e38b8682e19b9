"""What ``esmm report`` is given: a run of this machine or of an object store, or the name of a job in a cluster."""

from pathlib import Path

from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.errors import ConfigError
from esmm_dist.storage.location import Location
from launcher.jobs.find import is_local


def run_of_word(word: str) -> str:
    """Return the path or URI of the run that a word names, with its ``:STEP`` if it has one.

    A word is a job's name where there is no such folder, it has no '/', and a cluster is known. Its run is read from
    where the job file has it, if that is an object store: this machine must reach it.

    Raises:
        ConfigError: The job has no run that can be read from here.
        ClusterError: The cluster cannot be reached, or has no such job.
    """
    choice = CheckpointChoice.parse(word, None)
    if is_local(choice.run, None) or Path(choice.run).exists():
        return word
    from launcher.cluster.api.connect import cluster_is_known, connect

    if not cluster_is_known():
        return word  # a run that may begin later, or none: whoever reads it says so
    from launcher.cluster.snapshot import read_snapshot

    file = read_snapshot(connect(None), choice.run).file
    place = file.settings.get("run")
    if file.task != "train" or not isinstance(place, str):
        raise ConfigError(
            f"Job {choice.run} has task {file.task}, and esmm report shows trainings. Name a job with task: train, or "
            "the folder or URI of a run."
        )
    if Location.parse(place).is_local:
        raise ConfigError(
            f"The run of job {choice.run} is {place} in its pods, in a claim that this machine does not see. Have the "
            "page made in the cluster, by a job with task: report, runs: [pvc://CLAIM/RUN] and html: "
            "pvc://CLAIM/run.html or s3://BUCKET/run.html (k8s/examples/report.yaml)."
        )
    return place if choice.step is None else f"{place}:{choice.step}"
