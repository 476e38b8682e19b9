"""What a pod gets of its node."""

from dataclasses import dataclass

from esmm_dist.errors import ConfigError
from launcher.cluster.quantities import bytes_of, check_quantity, cores_of


@dataclass(frozen=True, kw_only=True)
class PodSize:
    """What a pod gets."""

    cpu: str | int | float
    """Cores (``2``, ``500m``) that the pod is promised. There is no limit: cores that nobody uses would stay
    idle, and a throttled worker holds up all others."""

    memory: str | int
    """Memory (``4Gi``), promised and limit at once: a pod that holds more is killed, and none is killed for another's
    need."""

    storage: str | int | None = None
    """Space on the node for /tmp and for copies of data in an object store, promised and limit at once. None: what the
    node has left. Rows, checkpoints and data in claims do not lie there."""

    def __post_init__(self) -> None:
        check_quantity("cpu", self.cpu)
        check_quantity("memory", self.memory)
        if cores_of(self.cpu) * 1000 < 1:
            raise ConfigError(f"cpu is {self.cpu}. Set 1m (a thousandth of a core) or more.")
        if bytes_of(self.memory) < 2**26:
            raise ConfigError(f"memory is {self.memory}, less than 64Mi. Write the unit too, such as 4Gi.")
        if self.storage is not None:
            check_quantity("storage", self.storage)
