"""The comparison: what the finished runs amount to."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from launcher.compare.data import CompareData
from launcher.compare.figures import Figure, RunResult, figures_of
from launcher.compare.models import ComparedModel
from launcher.compare.statistics import PairedDifference, Summary, paired_difference, summary
from launcher.terminal.json_line import json_value


@dataclass(frozen=True, kw_only=True)
class ModelRow:
    """One model of the table."""

    name: str
    seeds: tuple[int, ...]
    summaries: Mapping[str, Summary]
    """By the key of the figure."""
    differences: Mapping[str, PairedDifference]
    """To the first model, by key; of the first model none."""
    cost: Summary
    """Processor seconds a million impressions."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All models that have a finished run."""

    data: CompareData
    models: Sequence[ComparedModel]
    results: Sequence[RunResult]
    seeds: Sequence[int]
    jobs: int
    """Runs at a time."""
    failures: Mapping[str, str]
    """Error of each run that has failed."""

    @property
    def figures(self) -> list[Figure]:
        """The figures of the table."""
        return figures_of(self.data)

    @property
    def first(self) -> str:
        """The model that the others are compared with."""
        return self.models[0].name

    @property
    def rows(self) -> list[ModelRow]:
        """The rows of the table, in the order in which models were named; models without a finished run are missing."""
        names = [each.name for each in self.models if any(run.model == each.name for run in self.results)]
        return [self._row(name) for name in names]

    def of_model(self, name: str) -> list[RunResult]:
        """Return the finished runs of a model, by seed."""
        return sorted((run for run in self.results if run.model == name), key=lambda run: run.seed)

    def mean_of_all(self, key: str) -> float:
        """Return a value that is about the same in all runs, as their mean; nan of none."""
        return summary([run.values.get(key, math.nan) for run in self.results]).mean

    def _row(self, name: str) -> ModelRow:
        runs, first = self.of_model(name), self.of_model(self.first)
        differences = {}
        if name != self.first and first:
            for each in self.figures:
                own = {run.seed: each.compared(run.values[each.key]) for run in runs}
                differences[each.key] = paired_difference(
                    own, {run.seed: each.compared(run.values[each.key]) for run in first}
                )
        return ModelRow(
            name=name,
            seeds=tuple(run.seed for run in runs),
            summaries={each.key: summary([run.values[each.key] for run in runs]) for each in self.figures},
            differences=differences,
            cost=summary([run.cpu_s_per_million for run in runs]),
        )

    def to_mapping(self) -> dict[str, Any]:
        """Return the comparison for a program, with all runs."""
        settings = {each.name: each.settings for each in self.models}
        found: dict[str, Any] = json_value(
            {
                "data": self.data.folder,
                "split": self.data.split,
                "impressions": self.data.manifest.splits[self.data.split].impressions,
                "truth": None if self.data.truth is None else self.data.truth.path,
                "first": self.first,
                "seeds": list(self.seeds),
                "jobs": self.jobs,
                "figures": {each.key: {"title": each.title, "better": each.better} for each in self.figures},
                "models": [
                    {
                        "name": row.name,
                        "seeds": row.seeds,
                        "figures": row.summaries,
                        "differences": row.differences,
                        "cpu_s_per_million_impressions": row.cost,
                        "settings": settings[row.name],
                        "runs": [
                            {"seed": run.seed, "values": run.values, "training": run.training}
                            for run in self.of_model(row.name)
                        ],
                    }
                    for row in self.rows
                ],
                "failed": self.failures,
            }
        )
        return found
