"""What a new model must reach to replace the one in service."""

import math
from dataclasses import dataclass, field

from esmm_dist.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class GateConfig:
    """What a day's model must reach to be published.

    It is compared with the model in service: both are evaluated on the same split of the day's data set.
    """

    split: str | None = None
    """Split of each day's data set that models are compared on. None: ``validation`` where there is one, else
    ``test``. Models have not trained on these impressions, which a split of the train log (validation_share) is the
    simplest way to."""

    tasks: tuple[str, ...] = ()
    """Tasks that count, such as ``ctr,ctcvr``. Empty: all."""

    max_auc_drop: float = 0.005
    """How far the AUC of a task may be below that of the model in service, on the same impressions, 0 .. 1. On a split
    of a few thousand impressions two equal models differ by more than 0.005: set more there (the report shows standard
    errors)."""

    max_calibration_drift: float = 0.05
    """How much farther from 1 the calibration of a task (sum of predictions over sum of labels) may be than that of the
    model in service, as a difference of |log calibration|: 0.05 lets 1.02 become 1.07."""

    max_day_auc_drop: float | None = 0.05
    """How far the AUC of a task may be below what the model in service had on its own day. A day whose labels are wrong
    leaves both models equally low, which max_auc_drop cannot see. None: days are not compared."""

    min_auc: dict[str, float] = field(default_factory=dict)
    """Least AUC of a task, whatever is in service: ``{ctr: 0.6}``. It also holds for the first model, which has nothing
    to be compared with."""

    max_calibration_error: float | None = None
    """Largest |log calibration| of a task, whatever is in service: 0.1 allows 0.905 .. 1.105. None: no limit."""

    def __post_init__(self) -> None:
        for name in ("max_auc_drop", "max_calibration_drift", "max_day_auc_drop", "max_calibration_error"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"{name} is {value:g}. Set 0 or more.")
        for task, least in self.min_auc.items():
            if not 0 <= least <= 1:
                raise ConfigError(f"min_auc of {task} is {least:g}. Set 0 .. 1, such as 0.6.")
            if self.tasks and task not in self.tasks:
                raise ConfigError(
                    f"min_auc names {task}, which is not among tasks ({', '.join(self.tasks)}). Add it to tasks, or "
                    "leave it out of min_auc."
                )
        if self.split == "":
            raise ConfigError("split is empty. Give the name of a split, such as validation, or leave it out.")
