"""What all pods of a job share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from launcher.cluster import names
from launcher.cluster.cluster_config import ClusterConfig, Toleration
from launcher.cluster.job_file import JobFile
from launcher.cluster.pod_size import PodSize

HEALTH_SCHEMES = {True: "HTTPS", False: "HTTP"}

SECRET_VOLUME, CONFIG_VOLUME, TMP_VOLUME, FETCHED_VOLUME = "secrets", "config", "tmp", "fetched"

SERVER_SECRETS = (names.TOKEN_KEY, names.CA_KEY, names.SERVER_CERT_KEY, names.SERVER_KEY_KEY)
CLIENT_SECRETS = (names.TOKEN_KEY, names.CA_KEY, names.CLIENT_CERT_KEY, names.CLIENT_KEY_KEY)
WORKER_SECRETS = (*SERVER_SECRETS, names.CLIENT_CERT_KEY, names.CLIENT_KEY_KEY)
"""An agent answers as a server does, and its worker calls as a client does."""


@dataclass(frozen=True, kw_only=True)
class PodPlan:
    """What tells one kind of pod from the others."""

    component: names.Component
    size: PodSize
    command: Sequence[str]
    args: Sequence[str]
    """As a kubelet reads them: what a user has written stands in ``literal``."""
    secrets: Sequence[str] = ()
    """Keys of Secret J that it sees."""
    settings: bool = False
    """Whether it sees ConfigMap J."""
    ports: Mapping[str, int] = field(default_factory=dict)
    container: Mapping[str, Any] = field(default_factory=dict)
    """Further parts of the container: probes, lifecycle."""
    pod: Mapping[str, Any] = field(default_factory=dict)
    """Further parts of the pod's spec."""
    fetched: Mapping[str, str] = field(default_factory=dict)
    """URIs of data to be copied before it begins, by the setting that names them."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Further variables."""
    volumes: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]] = ()
    """Further volumes, each with its mount."""
    changes_claims: bool = True
    """Whether it writes into claims."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    gpus: int = 0
    node_selector: Mapping[str, str] = field(default_factory=dict)
    account: str
    asks_api: bool = False
    """Whether its service account's token is mounted."""
    grace_seconds: int


def pod_template(job: JobFile, plan: PodPlan) -> dict[str, Any]:
    """Return the template of a StatefulSet, Job or MPIJob."""
    config = job.cluster
    metadata: dict[str, Any] = {"labels": {**config.pod_labels, **names.labels(job.name, plan.component)}}
    if annotations := {**config.pod_annotations, **plan.annotations}:
        metadata["annotations"] = annotations
    node_selector = {**config.node_selector, **plan.node_selector}
    optional = {
        "imagePullSecrets": [{"name": name} for name in config.pull_secrets],
        "nodeSelector": node_selector,
        "tolerations": [_toleration(each) for each in config.tolerations],
        "priorityClassName": config.priority_class,
        "schedulerName": config.scheduler,
    }
    spec = {
        "serviceAccountName": plan.account,
        "automountServiceAccountToken": plan.asks_api,
        # Variables for each Service of the namespace: nobody reads them, and thousands of them stop a container
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": plan.grace_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": names.USER_ID,
            "runAsGroup": names.USER_ID,
            "fsGroup": names.USER_ID,
            # Without it each start would change the owner of every file in a claim, which takes hours for many
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **{key: value for key, value in optional.items() if value},
        **plan.pod,
        **({"initContainers": [_fetch(job, plan)]} if plan.fetched else {}),
        "containers": [_container(job, plan)],
        "volumes": _volumes(job, plan),
    }
    return {"metadata": metadata, "spec": spec}


def literal(text: str) -> str:
    """Return what a kubelet makes the text of: it replaces ``$(NAME)`` in arguments by a variable, ``$$`` by ``$``."""
    return text.replace("$", "$$")


def client_flags(job: JobFile) -> list[str]:
    """Return the flags of those who call servers."""
    addresses = names.server_addresses(job.name, job.known_namespace, job.cluster.servers.count)
    flags = ["--servers", ",".join(addresses), "--token-file", names.secret_path(names.TOKEN_KEY)]
    if not job.cluster.tls:
        return flags
    return [*flags, *_tls(ca=names.CA_KEY, cert=names.CLIENT_CERT_KEY, key=names.CLIENT_KEY_KEY)]


def listener_flags(job: JobFile, *, asks_clients: bool) -> list[str]:
    """Return the flags of those who listen. Servers ask who calls for a certificate, agents for the token only."""
    flags = ["--token-file", names.secret_path(names.TOKEN_KEY)]
    if not job.cluster.tls:
        return flags
    ca = names.CA_KEY if asks_clients else None
    return [*flags, *_tls(ca=ca, cert=names.SERVER_CERT_KEY, key=names.SERVER_KEY_KEY)]


def probe(path: str, port: str, *, tls: bool = False, **numbers: int) -> dict[str, Any]:
    """Return an HTTP probe. A kubelet does not check the certificate that it is shown."""
    return {"httpGet": {"path": path, "port": port, "scheme": HEALTH_SCHEMES[tls]}, **numbers}


def _tls(*, ca: str | None, cert: str, key: str) -> list[str]:
    flags = ["--tls-ca", names.secret_path(ca)] if ca is not None else []
    return [*flags, "--tls-cert", names.secret_path(cert), "--tls-key", names.secret_path(key)]


def _container(job: JobFile, plan: PodPlan) -> dict[str, Any]:
    config = job.cluster
    optional = {
        "imagePullPolicy": config.image_pull_policy,
        "ports": [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in plan.ports.items()],
        "envFrom": [{"secretRef": {"name": name}} for name in config.env_from_secrets],
    }
    return {
        "name": plan.component,
        "image": config.image,
        "command": list(plan.command),
        "args": list(plan.args),
        "env": _environment(config, plan.env),
        "resources": _resources(job, plan),
        # What a process that ended in an error wrote last is then in its pod's status, and so in esmm status
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        **{key: value for key, value in optional.items() if value},
        **plan.container,
        "volumeMounts": _mounts(job, plan),
    }


def _fetch(job: JobFile, plan: PodPlan) -> dict[str, Any]:
    """Return the container that copies data; with the pod's volume they outlive a container that is started again."""
    [(setting, uri)] = plan.fetched.items()
    alone = replace(
        plan,
        args=["copy", literal(uri), names.fetched_path(setting)],
        container={},
        ports={},
        secrets=(),
        settings=False,
        gpus=0,
    )
    tmp = {"name": TMP_VOLUME, "mountPath": names.TMP_PATH}
    mounts = [tmp, {"name": FETCHED_VOLUME, "mountPath": names.FETCHED_PATH}]
    return {**_container(job, alone), "name": names.FETCH, "volumeMounts": mounts}


def _environment(config: ClusterConfig, further: Mapping[str, str]) -> list[dict[str, Any]]:
    own = {
        **{"HOME": names.TMP_PATH, "TMPDIR": names.TMP_PATH, "PYTHONUNBUFFERED": "1"},
        # As all else in the pod resolves names. gRPC's own way merges lines of /etc/hosts that share an alias, such as
        # the Service's name, and then takes one server for another.
        "GRPC_DNS_RESOLVER": "native",
        **further,
    }
    fields = {"POD_NAME": "metadata.name", "POD_IP": "status.podIP"}
    # The user's last: a value may name only variables that stand before it
    return [
        *({"name": name, "value": value} for name, value in own.items() if name not in config.env),
        *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
        *({"name": name, "value": value} for name, value in config.env.items()),
    ]


def _resources(job: JobFile, plan: PodPlan) -> dict[str, Any]:
    size = plan.size
    limits = {"memory": str(size.memory)}
    if size.storage is not None:
        limits["ephemeral-storage"] = str(size.storage)
    if plan.gpus:
        limits[job.cluster.workers.gpu_resource] = str(
            plan.gpus
        )  # as text: clients differ in what they make of a number
    return {"requests": {"cpu": str(size.cpu), **limits}, "limits": limits.copy()}


def _volumes(job: JobFile, plan: PodPlan) -> list[dict[str, Any]]:
    tmp: dict[str, Any] = {} if plan.size.storage is None else {"sizeLimit": str(plan.size.storage)}
    volumes: list[dict[str, Any]] = [{"name": TMP_VOLUME, "emptyDir": tmp}]
    if plan.fetched:
        volumes.append({"name": FETCHED_VOLUME, "emptyDir": tmp.copy()})
    keys = _keys(job, plan)
    if keys:
        items = [{"key": key, "path": key} for key in keys]
        source = {"secretName": names.config(job.name), "defaultMode": 0o440, "items": items}
        volumes.append({"name": SECRET_VOLUME, "secret": source})
    if plan.settings:
        volumes.append({"name": CONFIG_VOLUME, "configMap": {"name": names.config(job.name)}})
    volumes += [dict(volume) for volume, _ in plan.volumes]
    return [*volumes, *({"name": f"claim-{c}", "persistentVolumeClaim": {"claimName": c}} for c in job.claims)]


def _mounts(job: JobFile, plan: PodPlan) -> list[dict[str, Any]]:
    mounts: list[dict[str, Any]] = [{"name": TMP_VOLUME, "mountPath": names.TMP_PATH}]
    if plan.fetched:
        mounts.append({"name": FETCHED_VOLUME, "mountPath": names.FETCHED_PATH, "readOnly": True})
    if _keys(job, plan):
        mounts.append({"name": SECRET_VOLUME, "mountPath": names.SECRETS_PATH, "readOnly": True})
    if plan.settings:
        mounts.append({"name": CONFIG_VOLUME, "mountPath": names.CONFIG_PATH, "readOnly": True})
    mounts += [{"name": volume["name"], **mount} for volume, mount in plan.volumes]
    reads: dict[str, Any] = {} if plan.changes_claims else {"readOnly": True}
    return [
        *mounts,
        *({"name": f"claim-{claim}", "mountPath": names.claim_path(claim), **reads} for claim in job.claims),
    ]


def _keys(job: JobFile, plan: PodPlan) -> list[str]:
    return [key for key in plan.secrets if job.cluster.tls or key == names.TOKEN_KEY]


def _toleration(toleration: Toleration) -> dict[str, Any]:
    whole = {
        "key": toleration.key,
        "operator": toleration.operator,
        "value": toleration.value,
        "effect": toleration.effect,
        "tolerationSeconds": toleration.seconds,
    }
    return {key: value for key, value in whole.items() if value is not None}
