"""What the objects of a job are called: names, labels, ports and paths. Nothing else invents one.

Every name begins with the job's, which has at most 40 characters, so that the longest (``J-worker-4095``, and the
label that a StatefulSet makes of its name and a hash) stays within the 63 that Kubernetes allows.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Literal

from esmm_dist.storage.on_copies import SCRATCH
from launcher.doctor.versions import installed
from launcher.run_files.run_status import EVENTS_NAME, STATUS_NAME

Component = Literal["config", "server", "worker", "driver", "task", "serving"]

MOST_NAME = 40
RESERVED_END = "-status"
"""Job J publishes in ConfigMap J-status, and a job of that name would own one of the same name."""

_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_DNS_1123 = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_DNS_1123.pattern}(\.{_DNS_1123.pattern})*")

NAME = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"
COMPONENT = "app.kubernetes.io/component"
PART_OF = "app.kubernetes.io/part-of"
MANAGED_BY = "app.kubernetes.io/managed-by"
VERSION = "app.kubernetes.io/version"
APP = "esmm-dist"
MANAGER = "esmm"

REQUEST = "esmm-dist/wish"
"""Annotation of ConfigMap J: what a user requests of the driver."""

SERVER_PORT = 7070
AGENT_PORT = 7071
METRICS_PORT = 7072
SCORES_PORT = 8501
SERVER_PORT_NAME = "grpc"
AGENT_PORT_NAME = "agent"
METRICS_PORT_NAME = "metrics"
SCORES_PORT_NAMES = {False: "http", True: "https"}
"""By whether it is encrypted: service meshes choose the protocol by this name."""

SECRETS_PATH = "/run/esmm/secrets"
CONFIG_PATH = "/run/esmm/config"
CLAIMS_PATH = "/mnt/claims"
TMP_PATH = "/tmp"
CACHE_PATH = "/mnt/cache"
TLS_PATH = "/run/esmm/tls"
FETCH, FETCHED_PATH = "fetch", "/mnt/fetched"
"""Container that copies data of an object store before a worker begins, and where the worker finds them."""

SETTINGS_HASH = "esmm-dist/settings"
"""Annotation of a serve job's pods: with changed settings it changes, and so the pods are replaced."""

JOB_KEY = "job.yaml"
"""Key of ConfigMap J: the job file."""

STATUS_KEY = STATUS_NAME
EVENTS_KEY = EVENTS_NAME
"""Keys of ConfigMap J-status."""

TLS_CERT_KEY, TLS_KEY_KEY = "tls.crt", "tls.key"
"""Keys of a Secret of type kubernetes.io/tls."""

TOKEN_KEY, CA_KEY = "token", "ca.crt"
SERVER_CERT_KEY, SERVER_KEY_KEY = "server.crt", "server.key"
CLIENT_CERT_KEY, CLIENT_KEY_KEY = "client.crt", "client.key"
"""Keys of Secret J."""

OWN_LABELS = (NAME, INSTANCE, COMPONENT, PART_OF, MANAGED_BY, VERSION)
"""Labels that every object of a job has."""

OWN_VARIABLES = ("HOME", "TMPDIR", "POD_NAME", "POD_IP", "PYTHONUNBUFFERED", SCRATCH)
"""Environment variables that every pod has."""

USER_ID = 10001
"""Number of the user and of the group in the images (k8s/Dockerfile.cpu)."""


def is_job_name(name: str) -> bool:
    """Return whether a job may be called so: a DNS-1035 label of at most 40 characters, without a reserved end."""
    return len(name) <= MOST_NAME and _DNS_1035.fullmatch(name) is not None and not name.endswith(RESERVED_END)


def operator_takes(name: str) -> str | None:
    """Return the end that an MPIJob's name may not have, if it has one.

    The operator names a Service after the MPIJob: that of J-server would be the Service of J's servers.
    """
    return next((end for end in ("-server", "-worker", "-serving") if name.endswith(end)), None)


def is_label(name: str) -> bool:
    """Return whether a text is a DNS-1123 label, such as a namespace's name."""
    return len(name) <= 63 and _DNS_1123.fullmatch(name) is not None


def is_object_name(name: str) -> bool:
    """Return whether a text is a DNS-1123 subdomain: the name of a Secret, a claim or a class."""
    return len(name) <= 253 and _SUBDOMAIN.fullmatch(name) is not None


def is_volume_claim(name: str) -> bool:
    """Return whether a claim's name fits into that of a volume (``claim-NAME``), which is a label."""
    return len(name) <= 57 and is_label(name)


def is_label_key(key: str) -> bool:
    """Return whether a text is the key of a label or an annotation: NAME or DOMAIN/NAME."""
    prefix, slash, name = key.rpartition("/")
    return (not slash or is_object_name(prefix)) and bool(name) and is_label_value(name)


def is_label_value(value: str) -> bool:
    """Return whether a text is the value of a label."""
    return value == "" or (
        len(value) <= 63 and re.fullmatch(r"[A-Za-z0-9]([-\w.]*[A-Za-z0-9])?", value, re.A) is not None
    )


def is_resource_name(name: str) -> bool:
    """Return whether a text can be an extended resource: VENDOR/KIND."""
    return "/" in name and is_label_key(name)


def is_variable(name: str) -> bool:
    """Return whether a text can be an environment variable's name."""
    return re.fullmatch(r"[A-Za-z_]\w*", name, re.A) is not None


def labels(job: str, component: Component) -> dict[str, str]:
    """Return the labels of an object of a job."""
    return {
        **selector(job, component),
        PART_OF: APP,
        MANAGED_BY: MANAGER,
        VERSION: version(),
    }


@cache
def version() -> str:
    """Return the version of this project, as a label can hold it."""
    return installed()["esmm_dist"].replace(" ", "-").replace("+", "-")


def selector(job: str, component: Component) -> dict[str, str]:
    """Return the labels that tell a job's pods of one kind from all others; they never change."""
    return {NAME: APP, INSTANCE: job, COMPONENT: component}


def label_query(job: str, component: Component | None = None) -> str:
    """Return the labelSelector of an API request for a job's objects, of one kind or all."""
    chosen = {NAME: APP, INSTANCE: job} if component is None else dict(selector(job, component))
    return ",".join(f"{key}={value}" for key, value in chosen.items())


ALL_JOBS_QUERY = f"{NAME}={APP},{COMPONENT}=config"
"""The labelSelector of the ConfigMaps of all jobs; ``J-status`` of each is among them."""


def config(job: str) -> str:
    """Return the name of the ConfigMap that owns all others, and of Secret, NetworkPolicy, ServiceMonitor, MPIJob."""
    return job


def status(job: str) -> str:
    """Return the name of the ConfigMap in which the driver publishes."""
    return f"{job}{RESERVED_END}"


def server(job: str) -> str:
    """Return the name of the servers' Service, StatefulSet and PodDisruptionBudget."""
    return f"{job}-server"


def worker(job: str) -> str:
    """Return the name of the workers' Service, StatefulSet and PodDisruptionBudget."""
    return f"{job}-worker"


def driver(job: str) -> str:
    """Return the name of the driver's Job, ServiceAccount, Role and RoleBinding."""
    return f"{job}-driver"


def task(job: str) -> str:
    """Return the name of the Job of a task of one pod."""
    return f"{job}-task"


def serving(job: str) -> str:
    """Return the name of the Deployment, Service, autoscaler and PodDisruptionBudget of a serve job."""
    return f"{job}-serving"


def serving_host(job: str, namespace: str) -> str:
    """Return the DNS name at which a serve job answers within the cluster."""
    return f"{serving(job)}.{namespace}.svc"


def pod_account(job: str) -> str:
    """Return the name of the ServiceAccount without rights."""
    return f"{job}-pod"


def settings_key(task: str) -> str:
    """Return the key of ConfigMap J that holds the task's settings: ``train.yaml``."""
    return f"{task}.yaml"


def secret_path(key: str) -> str:
    """Return where pods find a key of Secret J."""
    return f"{SECRETS_PATH}/{key}"


def settings_path(task: str) -> str:
    """Return where pods find the task's settings."""
    return f"{CONFIG_PATH}/{settings_key(task)}"


def carried_path(name: str) -> str:
    """Return where pods find a file that the job takes along."""
    return f"{CONFIG_PATH}/{name}"


def claim_path(claim: str) -> str:
    """Return where pods find a claim."""
    return f"{CLAIMS_PATH}/{claim}"


def fetched_path(setting: str) -> str:
    """Return where a worker finds what a setting names in an object store."""
    return f"{FETCHED_PATH}/{setting}"


def server_addresses(job: str, namespace: str, count: int) -> Sequence[str]:
    """Return HOST:PORT of each server, in the order of their index."""
    return [f"{server(job)}-{i}.{server(job)}.{namespace}.svc:{SERVER_PORT}" for i in range(count)]


def certified_names(job: str, namespace: str) -> Sequence[str]:
    """Return the DNS names that the certificate of servers and agents is for.

    gRPC accepts a wildcard only if two labels follow, so the Service's name alone (``*.J-server``) would not do. The
    last are the workers' of an MPIJob, whose operator names their Service after the job.
    """
    services = (server(job), worker(job), job)
    return [
        "localhost",
        *(f"*.{service}.{namespace}.svc{end}" for service in services for end in ("", ".cluster.local")),
    ]
