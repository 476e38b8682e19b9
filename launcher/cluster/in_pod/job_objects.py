"""Which of the cluster's objects belong to a job, and how its workers are reached."""

from dataclasses import dataclass

from launcher.cluster import names
from launcher.cluster.cluster_config import Backend


@dataclass(frozen=True, kw_only=True)
class JobObjects:
    """What belongs to a job."""

    job: str
    namespace: str
    backend: Backend = "plain"

    @property
    def worker_selector(self) -> str:
        """Labels of the pods that are workers."""
        if self.backend == "mpijob":
            return f"training.kubeflow.org/job-name={self.job},training.kubeflow.org/job-role=worker"
        return names.label_query(self.job, "worker")

    def agent_address(self, pod: str) -> str:
        """Return HOST:PORT of a pod's agent. The name is one that its certificate is for."""
        service = self.job if self.backend == "mpijob" else names.worker(self.job)
        return f"{pod}.{service}.{self.namespace}.svc:{names.AGENT_PORT}"

    @property
    def stateful_sets(self) -> tuple[str, ...]:
        """Names of the sets that are scaled to 0 at the end; an MPIJob's workers are ended by its operator."""
        workers = (names.worker(self.job),) if self.backend == "plain" else ()
        return (*workers, names.server(self.job))
