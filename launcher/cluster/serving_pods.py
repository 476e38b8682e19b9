"""The ``cluster.serve`` section of a job file: the pods of ``task: serve``, and how they are reached."""

from dataclasses import dataclass, field
from typing import Literal

from esmm_dist.errors import ConfigError
from launcher.cluster import names
from launcher.cluster.pod_size import PodSize

ServiceType = Literal["ClusterIP", "NodePort", "LoadBalancer"]

MOST_REPLICAS = 1000


@dataclass(frozen=True, kw_only=True)
class ServingPods(PodSize):
    """The pods that answer, each with all of the model: a Deployment behind a Service."""

    model: str = "esmm"
    """Name of the model in addresses, /v1/models/NAME:predict (the setting ``name`` of esmm serve)."""

    min: int = 2
    """Pods that answer, at least. With 1 nothing answers from the loss or the drain of its node until another pod has
    started. To change it later: esmm scale JOB --replicas N, or submit the changed file again."""

    max: int | None = None
    """Pods up to which the autoscaler goes. None: ``min``, and there is no autoscaler."""

    cpu_percent: int = 70
    """Share of ``cpu`` in percent that the pods use on average, which the autoscaler keeps to by their number. It needs
    the cluster's metrics (metrics-server)."""

    cpu: str | int | float = 1
    """Cores that a pod is promised. It has as many processes that answer, unless the setting ``workers`` says another
    number."""

    memory: str | int = "4Gi"
    """Memory, promised and limit at once. Tables are mapped from disk: their pages count, and are given back when the
    pod needs memory, after which rows are read from disk again. Set the size of two versions' tables, since one is
    loaded beside the other, 0.5Gi for each process and 0.5Gi for the pod."""

    start_seconds: int = 600
    """Seconds that a new pod may take until it answers: it copies the newest version from an object store, maps it and
    warms up. After that ``esmm status`` says that the rolling update is stuck; the pods of before go on answering."""

    max_unavailable: int = 1
    """Pods that drained nodes may take at once."""

    service: ServiceType = "ClusterIP"
    """How the pods are reached: within the cluster; or by a port of each node (NodePort), or a load balancer of the
    cloud (LoadBalancer), from outside too."""

    service_annotations: dict[str, str] = field(default_factory=dict)
    """Annotations of the Service, by which clouds choose a load balancer."""

    from_namespaces: tuple[str, ...] = ()
    """Namespaces whose pods may ask. Empty: whoever reaches the port. Needs Kubernetes 1.21, and a network that
    enforces NetworkPolicies."""

    token: bool = True
    """Whether requests must carry the token that submit puts into Secret JOB (key ``token``). Off: whoever reaches the
    port gets scores."""

    tls_secret: str | None = None
    """Secret with ``tls.crt`` and ``tls.key``, such as cert-manager makes: answers are encrypted. It must exist. None:
    plain text, the token too."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.min <= self.most <= MOST_REPLICAS:
            raise ConfigError(
                f"min is {self.min}, max is {self.most}. Set 1 <= min <= max <= {MOST_REPLICAS}; to stop all pods: "
                "esmm cancel JOB."
            )
        if not 1 <= self.cpu_percent <= 100:
            raise ConfigError(f"cpu_percent is {self.cpu_percent}. Set 1 .. 100, a share of cpu.")
        if self.start_seconds < 1:
            raise ConfigError(f"start_seconds is {self.start_seconds}. Set 1 or more.")
        if self.max_unavailable < 0:
            raise ConfigError(f"max_unavailable is {self.max_unavailable}. Set 0 or more.")
        for key in self.service_annotations:
            if not names.is_label_key(key):
                raise ConfigError(f"service_annotations has '{key}', which is no key. Write NAME or DOMAIN/NAME.")
        for namespace in self.from_namespaces:
            if not names.is_label(namespace):
                raise ConfigError(f"from_namespaces names '{namespace}', which no namespace can be called.")
        if self.tls_secret is not None and not names.is_object_name(self.tls_secret):
            raise ConfigError(
                f"tls_secret names '{self.tls_secret}'. Use at most 253 lower case letters, digits, '-' and '.'."
            )

    @property
    def most(self) -> int:
        """Pods, at most."""
        return self.min if self.max is None else self.max

    @property
    def scales_itself(self) -> bool:
        """Whether an autoscaler chooses the number of pods."""
        return self.min < self.most
