"""The settings of ``esmm compare``."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from esmm_dist.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Train models with several seeds each, and compare them in a table."""

    data: Path
    """The data set: a folder that esmm preprocess wrote."""

    out: Path = Path("comparison")
    """Folder for the runs and the comparison: comparison.md, comparison.json, comparison.png. Made if it is missing;
    the same command again continues what it holds."""

    models: tuple[str, ...]
    """The models, the one that the others are compared with first. Each is an objective (base, esmm), a network (mlp),
    the name of a shipped settings file (small-data), a .yaml file of settings of esmm train, NAME=FILE, or a name
    under define."""

    seeds: int = 5
    """Trainings of each model, with the seeds 1, 2 and so on (from settings.seed on, if that is set). With 1 there is
    no standard deviation and no test. A larger number continues a comparison."""

    eval_split: str | None = None
    """Split that models are measured on. None: validation where the data set has one, else test. Choose on validation,
    and name test for the table at the end: trained runs are not trained again."""

    truth: Path | None = None
    """Folder of the raw log that esmm synth wrote: models are then measured by the planted probabilities too, on all
    impressions of the split, clicked or not. None: by labels alone."""

    jobs: int | None = None
    """Runs at the same time on this machine, each on its share of the cores. None: one a core, as many as the memory
    holds."""

    keep_runs: bool = True
    """Whether runs stay when they are measured, so that another split can be measured without training again."""

    train_config: str | None = None
    """Settings of esmm train that all models share: a .yaml file, or the name of a shipped one such as small-data.
    None: the defaults."""

    settings: dict[str, Any] = field(default_factory=dict)
    """The same in the file of this command, in the form of esmm train's --config file; they go over those of
    train_config."""

    define: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Models of your own by name, each with its settings of esmm train: wide: {model: {hidden_units: [512, 256]}}.
    Under the name of an objective or a network, settings that this model has beside: base: {dense: {...}}."""

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise ConfigError(
                f"seeds is {self.seeds}, so nothing is trained. Set 2 or more; with 1 there is no standard deviation "
                "and no test."
            )
        if self.jobs is not None and self.jobs < 1:
            raise ConfigError(f"jobs is {self.jobs}. Set 1 or more, or leave it out.")
        if not self.models:
            raise ConfigError("models is empty, so there is nothing to compare. Name some: --models base,esmm")
