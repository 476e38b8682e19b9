"""The settings of ``esmm tune``: the content of a search file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from esmm_dist.errors import ConfigError
from launcher.tune.objective import Objective
from launcher.tune.setting_range import SettingRange
from launcher.tune.space import SearchSpace

PrunerName = Literal["median", "halving", "none"]
"""Which trials end early."""


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """Search for the settings of esmm train that do best on the validation split."""

    data: Path
    """The data set, which needs a validation split: a folder that esmm preprocess wrote with --validation-share."""

    study: Path
    """Folder of the study: its trials, best.yaml and report.html. Made if it is missing; the same command again
    continues what it holds."""

    objective: str = ""
    """What is best, on the validation split: a task and a figure of its evaluation (auc, gauc, log_loss), such as
    ctcvr.auc; or a weighted sum, such as ctr.auc + 0.5 * cvr.auc. Empty: the AUC of the last task, ctcvr.auc of two
    labels."""

    trials: int = 50
    """Trials of the whole study, those that were pruned or failed too. A larger number continues a study."""

    jobs: int = 1
    """Trials that train at the same time on this machine, each on its share of the cores. With 1 a study is
    reproducible: the same file gives the same trials."""

    seeds: int = 1
    """Trainings of each trial, with the seeds seed, seed + 1 and so on (settings.seed, 1 by default). The objective is
    their mean; pruning looks at the first one."""

    evaluations: int = 6
    """Evaluations of a training, evenly over its steps, by which pruning compares trials. Where settings has
    evaluation.eval_every_steps, that holds instead."""

    pruner: PrunerName = "median"
    """Which trials end early: median, those whose best evaluation up to the second one or a later one is worse than
    the median of the others there (after five trials); halving, all but the best third at the first and the third
    evaluation; none."""

    sampler_seed: int = 1
    """Seed of the sampler (TPE), which chooses the values of each trial, 0 .. 2^31 - 1. The first ten are random."""

    keep_runs: bool = False
    """Whether the runs of all trials stay. Off: only that of the best, as checkpoints fill a disk."""

    settings: dict[str, Any] = field(default_factory=dict)
    """Settings of esmm train that all trials share, in the form of its --config file."""

    search: dict[str, SettingRange]
    """What is searched: settings of esmm train by their path in its --config file, each with low and high (and step
    or log: true), or with choices."""

    def __post_init__(self) -> None:
        for name in ("trials", "jobs", "seeds", "evaluations"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}. Set 1 or more.")
        if not 0 <= self.sampler_seed < 2**31:
            raise ConfigError(f"sampler_seed is {self.sampler_seed}. Set 0 .. {2**31 - 1}.")
        if not self.search:
            raise ConfigError(
                "search is empty, so there is nothing to try. Name a setting, such as "
                "model.dropout: {low: 0, high: 0.6, step: 0.1}"
            )
        if self.objective:
            self.parsed_objective.check_form()
        self.space.check()

    @property
    def parsed_objective(self) -> Objective:
        """The objective, which is not empty.

        Raises:
            ConfigError: its text is not one
        """
        return Objective.parse(self.objective)

    @property
    def space(self) -> SearchSpace:
        """The settings that are searched, and those that all trials share.

        Raises:
            ConfigError: one is unknown, or is not to be searched
        """
        return SearchSpace.make(self.settings, self.search)

    @property
    def first_seed(self) -> int:
        """Seed of the first training of each trial."""
        found = self.space.typed_settings.get("seed", 1)
        assert isinstance(found, int)
        return found

    @property
    def sets_eval_every_steps(self) -> bool:
        """Whether the file says when trials are evaluated."""
        group = self.settings.get("evaluation")
        return isinstance(group, Mapping) and "eval_every_steps" in group
