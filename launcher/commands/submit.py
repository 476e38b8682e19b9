"""``esmm submit``: run a job in a cluster."""

from typing import Any

from esmm_dist.errors import ConfigError
from esmm_dist.escaped import lines_of
from esmm_dist.progress import Progress
from launcher.cluster.api.client import Api
from launcher.cluster.api.connect import connect
from launcher.cluster.checks import proxy_warning
from launcher.cluster.objects.all import manifests_list
from launcher.cluster.objects.yaml_text import manifests_yaml
from launcher.cluster.status import full_status
from launcher.cluster.submit import dry_run, follow, read, submit
from launcher.command import CommandContext, Outcome
from launcher.jobs.config import SubmitConfig
from launcher.run_files.job_lines import job_lines
from launcher.terminal.json_line import json_value


def submit_command(settings: SubmitConfig, context: CommandContext) -> Outcome:
    """Run a job, or print the manifests of which it is made."""
    progress = context.progress
    job = read(settings.file, settings.namespace)
    if warning := proxy_warning(job):
        progress.message(f"Warning: {warning}")
    if settings.follow and job.schedule is not None:
        raise ConfigError(
            f"{settings.file} has a schedule, so following it would have no end. Leave --follow out; esmm logs "
            f"{job.name} -f shows the lines of its newest run."
        )
    if settings.dry_run:
        manifests = dry_run(job)
        return Outcome(lines=manifests_yaml(manifests).splitlines(), result=manifests_list(manifests))
    api = connect(job.namespace)
    made = submit(api, job, progress)
    result = {"job": made.job, "namespace": made.namespace, "objects": made.objects}
    flag = f" --namespace {made.namespace}" if settings.namespace or job.namespace else ""
    done = "updated in" if made.updated else "submitted to"
    line = f"Job {made.job} is {done} namespace {made.namespace}. esmm status {made.job}{flag} shows how it is."
    if not settings.follow:
        return Outcome(lines=[line], result=result)
    progress.message(line)
    return _follow(api, made.job, result, progress)


def _follow(api: Api, job: str, result: dict[str, Any], progress: Progress) -> Outcome:
    try:
        snapshot = follow(api, job, lambda line: print(lines_of(line), flush=True))
    except KeyboardInterrupt:
        progress.message(f"The job goes on. esmm logs {job} -f shows its lines, esmm cancel {job} ends it.")
        raise
    status = full_status(api, snapshot)
    done = status.state == ("running" if status.serving is not None else "done")
    return Outcome(lines=job_lines(status), result=result | {"status": json_value(status)}, done=done)
