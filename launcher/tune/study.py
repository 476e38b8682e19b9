"""The trials of a study, kept by Optuna: what was tried, what is tried next, what is best.

One process uses it, which holds the study's lock. A process that is killed leaves its trials in the state RUNNING; the
next one takes them up under their numbers, with the values that they have.
"""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import sqlalchemy
from optuna.trial import TrialState

from esmm_dist.config import to_mapping
from esmm_dist.errors import ConfigError, StorageError
from launcher.trainings.settings_file import differences
from launcher.tune.config import PrunerName, TuneConfig
from launcher.tune.space import SearchedSetting
from launcher.tune.study_data import StudyData

_NAME = "tune"
_SEARCH = "search"
_RESULT = "result"
_FREE = ("data", "study", "trials", "jobs", "keep_runs")
"""Settings of ``esmm tune`` that may change while a study goes on."""


class Study:
    """The trials of one search.

    Args:
        database: file of Optuna's storage, made if it is missing
        config: settings of ``esmm tune``
        data: data set of the study

    Raises:
        ConfigError: the file holds the trials of another search; what differs is named
        StorageError: it cannot be read
    """

    def __init__(self, database: Path, config: TuneConfig, data: StudyData) -> None:
        self._space, self._seed = config.space, config.sampler_seed
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with storage_errors(database):
            storage = optuna.storages.RDBStorage(str(sqlalchemy.URL.create("sqlite", database=str(database))))
            self._study = optuna.create_study(
                storage=storage,
                study_name=_NAME,
                load_if_exists=True,
                direction=config.parsed_objective.direction,
                pruner=_pruner(config.pruner),
            )
            self._check(_identity(config, data), database)

    @property
    def optuna_study(self) -> Any:
        """The ``optuna.Study``, for its pictures and figures."""
        return self._study

    @property
    def trials(self) -> Sequence[Any]:
        """All trials as ``optuna.trial.FrozenTrial``, in the order of their numbers."""
        found: Sequence[Any] = self._study.get_trials(deepcopy=False)
        return found

    @property
    def finished(self) -> Sequence[Any]:
        """The trials that are complete, pruned or failed."""
        return [each for each in self.trials if each.state.is_finished()]

    @property
    def best(self) -> Any | None:
        """The best complete trial; None if there is none."""
        complete = [each for each in self.trials if each.state == TrialState.COMPLETE]
        if not complete:
            return None
        highest = self._study.direction == optuna.study.StudyDirection.MAXIMIZE
        return (max if highest else min)(complete, key=lambda each: each.value)  # of equals the first

    def count(self, state: str) -> int:
        """Return the number of trials in a state: COMPLETE, PRUNED or FAIL."""
        return sum(each.state == TrialState[state] for each in self.trials)

    def unfinished(self) -> list[Any]:
        """Return the trials that an earlier process has left, as ``optuna.Trial``, by number."""
        left = [each for each in self.trials if each.state == TrialState.RUNNING]
        return [
            self._suggested(each.number, lambda each=each: optuna.Trial(self._study, each._trial_id)) for each in left
        ]

    def ask(self) -> Any:
        """Return a new trial as ``optuna.Trial``, with a value for each searched setting."""
        return self._suggested(len(self.trials), self._study.ask)

    def values(self, trial: Any) -> dict[str, Any]:
        """Return the value of each searched setting by its path, as the settings take it."""
        return {
            each.path: each.value(trial.params[each.path]) for each in self._space.searched if each.path in trial.params
        }

    def complete(self, trial: Any, value: float, result: Mapping[str, Any]) -> None:
        """Keep the objective of a trial, and what else is to be known about it."""
        trial.set_user_attr(_RESULT, dict(result))
        self._study.tell(trial, value)

    def prune(self, trial: Any, result: Mapping[str, Any]) -> None:
        """Keep that a trial was pruned; its newest evaluation is its objective to the sampler."""
        trial.set_user_attr(_RESULT, dict(result))
        self._study.tell(trial, state=TrialState.PRUNED)

    def fail(self, trial: Any, error: str) -> None:
        """Keep that a trial has failed, and why."""
        trial.set_user_attr(_RESULT, {"error": error})
        self._study.tell(trial, state=TrialState.FAIL)

    def close(self) -> None:
        """Let go of the file."""
        self._study._storage.remove_session()

    def _suggested(self, number: int, make: Any) -> Any:
        # A seed of its own for each trial: a study that was stopped goes on as if it had not been
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        self._study.sampler = optuna.samplers.TPESampler(seed=seed)
        trial = make()
        for each in self._space.searched:
            _suggest(trial, each)
        return trial

    def _check(self, identity: dict[str, Any], database: Path) -> None:
        stored = self._study.user_attrs.get(_SEARCH)
        if stored is None:
            self._study.set_user_attr(_SEARCH, identity)
            return
        said = differences(stored, identity)
        if said:
            raise ConfigError(
                f"{database.parent} is the study of another search: {said}. Set it back to continue that study, or "
                "give another folder as study."
            )


def result_of(trial: Any) -> Mapping[str, Any]:
    """Return what was kept about a finished trial: ``seconds``, and ``metrics`` by seed or ``error``."""
    found: Mapping[str, Any] = trial.user_attrs.get(_RESULT, {})
    return found


def newest_report(trial: Any) -> float:
    """Return the newest evaluation of a trial; nan if there is none."""
    reports = trial.intermediate_values
    return float(reports[max(reports)]) if reports else math.nan


@contextmanager
def storage_errors(database: Path) -> Iterator[None]:
    """Say in a sentence what keeps a study from being read or written.

    Raises:
        StorageError: it cannot be read or written
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as e:
        cause = str(e.__cause__ or e).splitlines()[0]
        raise StorageError(
            f"{database} cannot be read or written ({cause}). Check the disk; if the file is damaged, give another "
            "folder as study."
        ) from e


def _pruner(name: PrunerName) -> Any:
    if name == "median":
        # The first evaluation says little: in it most rows have been seen a few times
        return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2)
    if name == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    return optuna.pruners.NopPruner()


def _suggest(trial: Any, searched: SearchedSetting) -> None:
    """Give a trial a value of a setting; one that it has stays."""
    if searched.kind == "choices":
        trial.suggest_categorical(searched.path, list(searched.labels))
        return
    low, high = searched.range.bounds
    step, log = searched.range.step, searched.range.log
    if searched.kind == "int":
        trial.suggest_int(searched.path, low, high, step=1 if step is None else step, log=log)
    else:
        trial.suggest_float(searched.path, low, high, step=step, log=log)


def _identity(config: TuneConfig, data: StudyData) -> dict[str, Any]:
    """Return what makes two searches the same."""
    mapping = {name: value for name, value in to_mapping(config).items() if name not in _FREE}
    mapping["objective"] = config.parsed_objective.text
    return {"the data set": data.manifest_crc32c, **mapping}
