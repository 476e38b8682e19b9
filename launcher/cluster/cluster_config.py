"""The ``cluster:`` section of a job file."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from esmm_dist.errors import ConfigError
from launcher.cluster import names
from launcher.cluster.pod_size import PodSize
from launcher.cluster.quantities import check_quantity
from launcher.cluster.serving_pods import ServingPods

Backend = Literal["plain", "mpijob"]
Access = Literal["ReadWriteMany", "ReadWriteOnce"]

MOST_SERVERS = 512
"""Their addresses are one argument of each worker, which Linux limits to 128 KB."""

MOST_WORKERS = 4096


@dataclass(frozen=True, kw_only=True)
class ServerPods(PodSize):
    """The parameter servers. They hold all rows in memory, each its part."""

    count: int = 1
    """Number of servers. To change it later: esmm scale JOB --servers N, which saves and starts anew."""

    cpu: str | int | float = 1
    memory: str | int = "2Gi"
    """4.5 M rows of 16 columns with Adam took 1.5 GB on one server (esmm_dist/parameter_server/README.md); divide what
    yours take by the number of servers, and leave a half more for growth and for a save at work."""

    max_unavailable: int = 0
    """Servers that a drained node may take at once. 0: none, the drain waits: a server's rows since the last checkpoint
    go with it, and the run goes back there. To drain, cancel the job, and resume it after. 1: let it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.count <= MOST_SERVERS:
            raise ConfigError(f"count is {self.count}. Set 1 .. {MOST_SERVERS} servers.")
        if self.max_unavailable < 0:
            raise ConfigError(f"max_unavailable is {self.max_unavailable}. Set 0 or more.")


@dataclass(frozen=True, kw_only=True)
class WorkerPods(PodSize):
    """The workers: one process of esmm train in each pod."""

    min: int = 1
    """With fewer the training waits."""

    max: int = 1
    """esmm scale JOB --workers N goes up to this. More than the data set has lanes have nothing to read."""

    start: int | None = None
    """Workers that the job starts with. None: max."""

    gpus: int = 0
    """GPUs of a worker, 0 or 1: a worker is one process, which computes on one. For more GPUs set more workers."""

    gpu_resource: str = "nvidia.com/gpu"
    """What the cluster calls a GPU."""

    cpu: str | int | float = 2
    memory: str | int = "4Gi"
    standby: bool = False
    """Whether the next worker warms beside the one that runs: after its loss another takes over without the import of
    TensorFlow. Costs 250 MB of memory more (esmm agent --help)."""

    max_unavailable: int = 1
    """Workers that a drained node may take at once; they save nothing and lose nothing, the others go on."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.min <= self.first <= self.max <= MOST_WORKERS:
            raise ConfigError(
                f"min is {self.min}, start is {self.first}, max is {self.max}. "
                f"Set 1 <= min <= start <= max <= {MOST_WORKERS}."
            )
        if not 0 <= self.gpus <= 1:
            raise ConfigError(f"gpus is {self.gpus}. Set 0 or 1; for more GPUs set more workers, which have one each.")
        if not names.is_resource_name(self.gpu_resource):
            raise ConfigError(f"gpu_resource is '{self.gpu_resource}'. Write VENDOR/KIND, such as nvidia.com/gpu.")
        if self.max_unavailable < 0:
            raise ConfigError(f"max_unavailable is {self.max_unavailable}. Set 0 or more.")

    @property
    def first(self) -> int:
        """Workers that the job starts with."""
        return self.max if self.start is None else self.start


@dataclass(frozen=True, kw_only=True)
class DriverPod(PodSize):
    """The driver, which says who the ranks are and computes nothing."""

    cpu: str | int | float = "250m"
    memory: str | int = "1Gi"
    """It imports Horovod's driver, without TensorFlow."""


@dataclass(frozen=True, kw_only=True)
class TaskPod(PodSize):
    """The one pod of synth, preprocess, pipeline, evaluate, predict, export, report and stats."""

    cpu: str | int | float = 2
    """preprocess runs as many processes as there are whole cores here, unless its setting ``workers`` says another
    number."""

    memory: str | int = "6Gi"
    """preprocess may hold memory_gb of it; leave a third more for what its processes hold beside data."""

    workers: int = 1
    """Processes that share the impressions of evaluate or predict, in this pod, beside one parameter server that holds
    the rows (``esmm local --workers``). Set a core for each. A pipeline has train.workers, and preprocess workers."""

    retries: int = 6
    """Times that the pod is started again after a failure. It goes on where it was: preprocess keeps finished pieces. A
    wrong setting is not tried again."""

    scratch: str | None = None
    """Place in a claim (pvc://CLAIM/PATH) for copies of what lies in object stores. None: the pod's /tmp. In a claim a
    preprocess whose pod is lost goes on with what it has; in /tmp it begins anew."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.workers < 1:
            raise ConfigError(f"workers is {self.workers}. Set 1 or more.")
        if self.retries < 0:
            raise ConfigError(f"retries is {self.retries}. Set 0 or more.")


@dataclass(frozen=True, kw_only=True)
class ClaimConfig:
    """A PersistentVolumeClaim that submit makes if it does not exist. It is not deleted with the job."""

    size: str | int
    """Such as 100Gi."""

    storage_class: str | None = None
    """None: the cluster's default."""

    access: Access = "ReadWriteMany"
    """All pods of a job mount it, wherever they run: ReadWriteMany, or ReadWriteOnce where all run on one node."""

    def __post_init__(self) -> None:
        check_quantity("size", self.size)
        if self.storage_class is not None and not names.is_object_name(self.storage_class):
            raise ConfigError(
                f"storage_class is '{self.storage_class}'. Give the name of one: kubectl get storageclass"
            )


@dataclass(frozen=True, kw_only=True)
class Toleration:
    """A taint of nodes on which pods may run all the same."""

    key: str | None = None
    """None: every key (operator must be Exists)."""

    operator: Literal["Equal", "Exists"] = "Equal"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """None: every effect."""

    seconds: int | None = None
    """How long a NoExecute taint is borne. None: for ever."""

    def __post_init__(self) -> None:
        if self.key is None and self.operator != "Exists":
            raise ConfigError("key is missing. Give the taint's key, or operator: Exists for all taints.")
        if (self.key is not None and not names.is_label_key(self.key)) or not names.is_label_value(self.value or ""):
            raise ConfigError(
                f"key is {self.key!r}, value is {self.value!r}, which no taint has. A key is NAME or DOMAIN/NAME, a "
                "value at most 63 letters, digits, '-', '_' and '.'."
            )
        if self.operator == "Exists" and self.value is not None:
            raise ConfigError(f"value is '{self.value}', but operator Exists asks for none. Leave one of them out.")
        if self.seconds is not None and self.effect != "NoExecute":
            raise ConfigError("seconds is set, which only effect: NoExecute has.")


@dataclass(frozen=True, kw_only=True)
class ClusterConfig:
    """Where and how a job runs."""

    image: str
    """Image of all pods, built from k8s/Dockerfile.cpu or k8s/Dockerfile.gpu. Name a version: with ``latest`` a pod
    that is started again may be of other code than the rest."""

    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """None: the cluster's rule (Always for ``latest``, else IfNotPresent)."""

    backend: Backend = "plain"
    """What makes the workers and the driver: ``plain``, a StatefulSet and a Job, which every cluster has; ``mpijob``,
    an MPIJob (v2beta1), for clusters where Kubeflow's operator does the queueing."""

    servers: ServerPods = field(default_factory=ServerPods)
    workers: WorkerPods = field(default_factory=WorkerPods)
    driver: DriverPod = field(default_factory=DriverPod)
    pod: TaskPod = field(default_factory=TaskPod)
    serve: ServingPods = field(default_factory=ServingPods)

    claims: dict[str, ClaimConfig] = field(default_factory=dict)
    """Claims that submit makes: ``{NAME: {size: 100Gi}}``. Those that settings name (pvc://NAME/...) and that are not
    here must exist."""

    node_selector: dict[str, str] = field(default_factory=dict)
    """Labels that a node of any pod must have."""

    worker_node_selector: dict[str, str] = field(default_factory=dict)
    """Labels that a node of a worker must have too, such as a GPU's model."""

    tolerations: tuple[Toleration, ...] = ()
    """Taints on which all pods may run."""

    priority_class: str | None = None
    """PriorityClass of all pods. None: the cluster's default."""

    scheduler: str | None = None
    """Scheduler of all pods, such as ``volcano``. None: the cluster's. Gang scheduling is not needed: the driver waits
    until ``workers.min`` are there."""

    env: dict[str, str] = field(default_factory=dict)
    """Further environment variables of all pods. No secrets: see env_from_secrets. As in every manifest, ``$(POD_IP)``,
    ``$(POD_NAME)`` and ``$(NAME)`` of those above stand for their values, and ``$$`` for a dollar."""

    env_from_secrets: tuple[str, ...] = ()
    """Secrets whose keys become environment variables of all pods, such as AWS_ACCESS_KEY_ID. They must exist."""

    pull_secrets: tuple[str, ...] = ()
    """Secrets for the image's registry. They must exist."""

    account_annotations: dict[str, str] = field(default_factory=dict)
    """Annotations of the pods' service accounts: how clouds give a pod its rights on an object store
    (``eks.amazonaws.com/role-arn``, ``iam.gke.io/gcp-service-account``)."""

    pod_labels: dict[str, str] = field(default_factory=dict)
    """Further labels of all pods, such as a gang scheduler's group."""

    pod_annotations: dict[str, str] = field(default_factory=dict)
    """Further annotations of all pods, such as ``scheduling.k8s.io/group-name``."""

    queue_labels: dict[str, str] = field(default_factory=dict)
    """Further labels of StatefulSets, Jobs, Deployment and MPIJob themselves, such as ``kueue.x-k8s.io/queue-name``."""

    grace_seconds: int = 120
    """Seconds that a worker has to leave by itself, and a server to finish a save under way, before they are killed. At
    least the time of a step and of a checkpoint."""

    stall_seconds: float = 60.0
    """Without a sign of life for so long a worker is killed and replaced. Twice that of esmm local: pods share nodes
    and networks with others."""

    interface: str = "eth0"
    """Network interface of pods, over which workers reach each other."""

    metrics_namespace: str | None = None
    """Namespace whose pods may read the metrics of servers, or of a serve job's pods (port 7072), such as
    ``monitoring``. None: none may. Needs Kubernetes 1.21, which labels namespaces with their names."""

    service_monitor: bool = False
    """Whether to make a ServiceMonitor, by which the Prometheus operator finds the metrics. The cluster must
    have it. Needs metrics_namespace, unless network_policy is off: Prometheus would find them and not get in."""

    network_policy: bool = True
    """Whether to make the NetworkPolicy that lets only this job's pods in. It does something only where the cluster's
    network enforces it. Off: whoever has the token gets in from everywhere."""

    tls: bool = True
    """Whether servers, agents and their clients show certificates and encrypt. The authority is the job's own. Off:
    plain text, with the token in it; for a network that encrypts by itself."""

    def __post_init__(self) -> None:
        if not self.image or any(c.isspace() for c in self.image):
            raise ConfigError(
                f"image is '{self.image}'. Give the image of all pods, such as registry.example/esmm:1.0."
            )
        if self.grace_seconds < 1:
            raise ConfigError(f"grace_seconds is {self.grace_seconds}. Set 1 or more.")
        if not (math.isfinite(self.stall_seconds) and self.stall_seconds > 0):
            raise ConfigError(f"stall_seconds is {self.stall_seconds}. Set a number of seconds above 0.")
        if not self.interface or len(self.interface) > 15 or not self.interface.isprintable() or " " in self.interface:
            raise ConfigError(f"interface is '{self.interface}'. Give a network interface of the pods, such as eth0.")
        self._check_names()
        self._check_pairs()

    def _check_names(self) -> None:
        for setting, given in {
            "claims": list(self.claims),
            "env_from_secrets": self.env_from_secrets,
            "pull_secrets": self.pull_secrets,
            "priority_class": [self.priority_class] if self.priority_class is not None else [],
            "scheduler": [self.scheduler] if self.scheduler is not None else [],
        }.items():
            for name in given:
                if not names.is_object_name(name):
                    raise ConfigError(
                        f"{setting} names '{name}'. Names in a cluster are lower case letters, digits, '-' and '.'."
                    )
        if self.service_monitor and self.network_policy and self.metrics_namespace is None:
            raise ConfigError(
                "service_monitor is true, but the job's NetworkPolicy lets no Prometheus in. Set metrics_namespace to "
                "the namespace in which it runs, such as monitoring (kubectl get prometheus --all-namespaces shows "
                "it), or network_policy: false."
            )
        if self.service_monitor and self.serve.service != "ClusterIP":
            raise ConfigError(
                f"service_monitor is true, but serve.service is {self.serve.service}: that Service leads outside, and "
                "has no port of the metrics. Leave one of them out; pod_annotations such as prometheus.io/scrape let a "
                "Prometheus without the operator find the pods."
            )
        if self.metrics_namespace is not None and not names.is_label(self.metrics_namespace):
            raise ConfigError(f"metrics_namespace is '{self.metrics_namespace}', which no namespace can be called.")
        for claim in self.claims:
            if not names.is_volume_claim(claim):
                raise ConfigError(f"claims names '{claim}'. Use 1 .. 57 lower case letters, digits and '-'.")

    def _check_pairs(self) -> None:
        for name in self.env:
            if not names.is_variable(name):
                raise ConfigError(f"env names '{name}'. A variable is letters, digits and '_', such as AWS_REGION.")
            if name in names.OWN_VARIABLES:
                raise ConfigError(f"env names '{name}', which every pod sets by itself. Leave it out.")
        label_settings: Mapping[str, dict[str, str]] = {
            "node_selector": self.node_selector,
            "worker_node_selector": self.worker_node_selector,
            "pod_labels": self.pod_labels,
            "queue_labels": self.queue_labels,
        }
        for setting, pairs in label_settings.items():
            for key, value in pairs.items():
                if not names.is_label_key(key) or not names.is_label_value(value):
                    raise ConfigError(
                        f"{setting} has '{key}: {value}', which is no label. A key is NAME or DOMAIN/NAME, a value at "
                        "most 63 letters, digits, '-', '_' and '.'."
                    )
                if setting in ("pod_labels", "queue_labels") and key in names.OWN_LABELS:
                    raise ConfigError(f"{setting} has '{key}', by which the job finds its pods. Leave it out.")
        for setting, pairs in {
            "pod_annotations": self.pod_annotations,
            "account_annotations": self.account_annotations,
        }.items():
            for key in pairs:
                if not names.is_label_key(key):
                    raise ConfigError(f"{setting} has '{key}', which is no key. Write NAME or DOMAIN/NAME.")
