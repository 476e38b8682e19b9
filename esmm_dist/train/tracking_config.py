"""The settings of a training that logs to experiment trackers."""

from dataclasses import dataclass
from typing import Literal

from esmm_dist.errors import ConfigError

TrackerName = Literal["mlflow", "wandb"]


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """Experiment trackers that a training logs to, beside its own files and TensorBoard."""

    log_to: tuple[TrackerName, ...] = ()
    """Trackers that receive settings, losses, metrics and speed: ``mlflow``, ``wandb`` (Weights & Biases), each an
    extra of the package (``pip install esmm_dist[mlflow]``). Where they are and who may log, their own variables say:
    ``MLFLOW_TRACKING_URI``, ``WANDB_API_KEY``, ... Empty: none."""

    log_experiment: str | None = None
    """MLflow's experiment, and the project of Weights & Biases. None: what ``MLFLOW_EXPERIMENT_NAME`` and
    ``WANDB_PROJECT`` say, else ``esmm``."""

    log_run_name: str | None = None
    """Name of the run in the trackers. None: the name of the run's folder."""

    def __post_init__(self) -> None:
        if len(set(self.log_to)) < len(self.log_to):
            raise ConfigError(f"log_to is {' '.join(self.log_to)}. Name each tracker once.")
        for name in ("log_experiment", "log_run_name"):
            value = getattr(self, name)
            if value is not None and not value.strip():
                raise ConfigError(f"{name} is empty. Give a name, or leave it out.")
