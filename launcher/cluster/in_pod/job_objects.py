"""Where a job's objects are in the cluster's API, and how its workers are reached."""

from dataclasses import dataclass
from typing import Literal

from launcher.cluster import names

Backend = Literal["plain", "mpijob"]


@dataclass(frozen=True, kw_only=True)
class JobObjects:
    """The paths of what belongs to a job."""

    job: str
    namespace: str
    backend: Backend = "plain"

    @property
    def pods(self) -> str:
        """Of the list of pods; ``worker_selector`` picks the job's workers."""
        return f"/api/v1/namespaces/{self.namespace}/pods"

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
    def config(self) -> str:
        """Of ConfigMap J."""
        return f"/api/v1/namespaces/{self.namespace}/configmaps/{names.config(self.job)}"

    @property
    def status(self) -> str:
        """Of ConfigMap J-status."""
        return f"/api/v1/namespaces/{self.namespace}/configmaps/{names.status(self.job)}"

    @property
    def scales(self) -> tuple[str, ...]:
        """Of what is scaled to 0 at the end; an MPIJob's workers are ended by its operator."""
        sets = f"/apis/apps/v1/namespaces/{self.namespace}/statefulsets"
        workers = (f"{sets}/{names.worker(self.job)}/scale",) if self.backend == "plain" else ()
        return (*workers, f"{sets}/{names.server(self.job)}/scale")
