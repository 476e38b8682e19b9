"""ConfigMaps (the job's settings, its state), the Secret, and the claims that submit makes."""

import base64

import yaml

from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.certificates import Secrets
from launcher.cluster.job_file import JobFile, job_yaml
from launcher.cluster.objects.manifest import Manifest, manifest


def config_map(job: JobFile) -> Manifest:
    """Return ConfigMap J, which owns all others: the job file, and the task's settings as its pods see them."""
    # Escapes what is not ASCII: PyYAML reads U+0085 and U+2028 as line breaks
    settings = yaml.safe_dump(dict(job.settings), sort_keys=False, width=120)
    data = {names.JOB_KEY: job_yaml(job), names.settings_key(job.task): settings, **job.files}
    return manifest(job, kinds.CONFIG_MAP, names.config(job.name), "config", {"data": data})


def status_map(job: JobFile) -> Manifest:
    """Return ConfigMap J-status, empty: the driver may change it, but has no right to make one."""
    return manifest(job, kinds.CONFIG_MAP, names.status(job.name), "config", {"data": {}})


def secret(job: JobFile, secrets: Secrets) -> Manifest:
    """Return Secret J."""
    data = {key: base64.b64encode(text.encode()).decode() for key, text in secrets.files.items()}
    return manifest(job, kinds.SECRET, names.config(job.name), "config", {"type": "Opaque", "data": data})


def claims(job: JobFile) -> list[Manifest]:
    """Return the claims of ``cluster.claims``. They bear the job's labels and outlive it."""
    return [
        manifest(
            job,
            kinds.CLAIM,
            name,
            "config",
            {
                "spec": {
                    "accessModes": [claim.access],
                    "resources": {"requests": {"storage": str(claim.size)}},
                    **({"storageClassName": claim.storage_class} if claim.storage_class is not None else {}),
                }
            },
        )
        for name, claim in job.cluster.claims.items()
    ]
