"""What a trial is measured by: a figure of its evaluation, or a weighted sum of several."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from esmm_dist.errors import ConfigError
from esmm_dist.near_names import nearest_hint

Direction = Literal["maximize", "minimize"]

_DIRECTIONS: Mapping[str, Direction] = {"auc": "maximize", "gauc": "maximize", "log_loss": "minimize"}
_PART = re.compile(r"(?:(?P<weight>\d+(?:\.\d*)?|\.\d+)\s*\*?\s*)?(?P<task>[^\W\d][^.*+]*)\.(?P<figure>\w+)")


@dataclass(frozen=True, kw_only=True)
class _Part:
    weight: float
    task: str
    figure: str


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A weighted sum of figures."""

    text: str
    """As the user wrote it."""
    parts: tuple[_Part, ...]

    @classmethod
    def parse(cls, text: str) -> "Objective":
        """Read ``ctcvr.auc`` or ``ctr.auc + 0.5 * cvr.auc``.

        Raises:
            ConfigError: it is of another form
        """
        parts = []
        for each in text.split("+"):
            found = _PART.fullmatch(each.strip())
            if found is None:
                raise ConfigError(
                    f"objective is '{text}', and '{each.strip()}' is not a task with a figure. Write ctcvr.auc, or a "
                    "sum such as ctr.auc + 0.5 * cvr.auc."
                )
            weight = 1.0 if found["weight"] is None else float(found["weight"])
            parts.append(_Part(weight=weight, task=found["task"], figure=found["figure"]))
        return cls(text=" ".join(text.split()), parts=tuple(parts))

    def check_form(self) -> None:
        """Check the figures and the weights.

        Raises:
            ConfigError: a figure is unknown or has no best end, a weight is 0, or some are best high and others low
        """
        for part in self.parts:
            if part.figure not in _DIRECTIONS:
                raise ConfigError(
                    f"objective is '{self.text}', but there is no best end of a figure '{part.figure}'."
                    f"{nearest_hint(part.figure, _DIRECTIONS)}"
                )
            if part.weight == 0:
                raise ConfigError(f"objective is '{self.text}', and one weight is 0. Leave that part out.")
        if len({_DIRECTIONS[part.figure] for part in self.parts}) > 1:
            raise ConfigError(
                f"objective is '{self.text}', which adds figures that are best high to figures that are best low. Use "
                "auc and gauc, or log_loss alone."
            )

    def check_tasks(self, tasks: Sequence[str]) -> None:
        """Check that a data set's evaluations have the tasks.

        Raises:
            ConfigError: one is unknown
        """
        for part in self.parts:
            if part.task not in tasks:
                raise ConfigError(
                    f"objective is '{self.text}', but the data set has no task '{part.task}'."
                    f"{nearest_hint(part.task, tasks)}"
                )

    @property
    def direction(self) -> Direction:
        """Which end is best."""
        return _DIRECTIONS[self.parts[0].figure]

    @property
    def better(self) -> str:
        """Which end is best, for the label of an axis."""
        return "higher is better" if self.direction == "maximize" else "lower is better"

    def value(self, metrics: Mapping[str, Mapping[str, Any]]) -> float:
        """Return the objective of an evaluation, given as in ``metrics.json``; nan if a figure is missing there."""
        total = 0.0
        for part in self.parts:
            figure = metrics.get(part.task, {}).get(part.figure)
            total += part.weight * (math.nan if figure is None else float(figure))
        return total

    def standard_error(self, metrics: Mapping[str, Mapping[str, Any]]) -> float:
        """Return the standard error of the value, if it is one AUC; nan of anything else, or if it is missing."""
        (first, *others) = self.parts
        if others or first.figure != "auc":
            return math.nan
        found = metrics.get(first.task, {}).get("auc_standard_error")
        return math.nan if found is None else first.weight * float(found)
