"""What a synthetic log holds, for people and for ``synth.json``."""

import math
from dataclasses import dataclass
from typing import Any

from esmm_dist.config import to_mapping
from preprocess.synthetic.config import REAL_CLICK_RATE, REAL_CONVERSION_RATE, SynthConfig

REAL_RATES = {"click": REAL_CLICK_RATE, "conversion": REAL_CONVERSION_RATE}


@dataclass(frozen=True, kw_only=True)
class SplitReport:
    """Counts of one split."""

    lines: int
    """Lines of the skeleton file."""
    impressions: int
    """Lines that are neither malformed nor repeated."""
    common_rows: int
    """Lines of the common features file, duplicated ones counted twice."""
    label_counts: dict[str, int]
    """For each label, impressions with it and all on the way to it."""
    warts: dict[str, int]
    """By kind, see ``warts.py``."""
    without_common_row: int
    """Impressions whose common row is missing from the file."""
    mean_ids: dict[str, float]
    """Mean ids an impression in each field; below 1, fields are missing."""
    skeleton_bytes: int
    common_bytes: int


@dataclass(frozen=True, kw_only=True)
class SynthReport:
    """What ``synthesize`` wrote."""

    out: str
    splits: dict[str, SplitReport]
    best_auc: dict[str, float]
    """AUC of the true probabilities on the test split, by task. No model can be expected to do better."""
    best_auc_standard_error: dict[str, float]
    """DeLong's, for each."""
    last_auc_of_first: float
    """AUC for the last label of the true probability of the first: what a perfect model of clicks alone would reach."""
    rates: dict[str, float]
    """Share of the impressions with the label before it that have each label, as planted."""
    before: dict[str, str]
    """The label before each one but the first."""
    field_sizes: dict[str, int]
    seconds: float

    def to_mapping(self) -> dict[str, Any]:
        """Return plain dicts and numbers for JSON; a nan (too few conversions for an AUC) becomes None."""
        mapping = to_mapping(self)
        for name in ("best_auc", "best_auc_standard_error"):
            mapping[name] = {task: _json_number(value) for task, value in mapping[name].items()}
        mapping["last_auc_of_first"] = _json_number(self.last_auc_of_first)
        return mapping

    def lines(self) -> list[str]:
        """Return the report as lines of text that say what each number means."""
        return [*self._files(), *self._rates(), *self._warts(), *self._best()]

    def _files(self) -> list[str]:
        lines = [f"Wrote a log in the raw Ali-CCP form to {self.out}"]
        for name, split in self.splits.items():
            size = (split.skeleton_bytes + split.common_bytes) / 1e6
            lines.append(
                f"  {name:5}  {split.lines:,} lines, {split.impressions:,} good impressions on {split.common_rows:,} "
                f"common rows; {', '.join(f'{n:,} {label}s' for label, n in split.label_counts.items())}; "
                f"{size:,.1f} MB"
            )
        ids = sum(self.splits["train"].mean_ids.values())
        lines.append(f"  {sum(self.field_sizes.values()):,} possible ids; {ids:.0f} ids an impression")
        return lines

    def _rates(self) -> list[str]:
        raised = any(rate > REAL_RATES.get(label, 1.0) for label, rate in self.rates.items())
        why = " (at the real rates a log of this size would hold too few to learn from)" if raised else ""
        shown = []
        for label, rate in self.rates.items():
            real = f" (real set {REAL_RATES[label]:.3%})" if label in REAL_RATES else ""
            shown.append(f"{rate:.3%} of {self.before.get(label, 'impression')}s have a {label}{real}")
        return [f"  planted rates: {', '.join(shown)}{why}"]

    def _warts(self) -> list[str]:
        kinds = next(iter(self.splits.values())).warts
        counts = ", ".join(f"{kind} {'+'.join(str(s.warts[kind]) for s in self.splits.values())}" for kind in kinds)
        return [f"  planted faults ({'+'.join(self.splits)}): {counts}"]

    def _best(self) -> list[str]:
        errors = self.best_auc_standard_error
        shown = ", ".join(f"{task} {auc:.4f} ± {errors[task]:.4f}" for task, auc in self.best_auc.items())
        return [
            f"Best AUC that any model can reach on test: {shown} (± one standard error)",
            f"  ranking by the true {next(iter(self.rates))} probability alone reaches {list(self.best_auc)[-1]} "
            f"{self.last_auc_of_first:.4f}",
        ]


def _json_number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def settings_mapping(config: SynthConfig) -> dict[str, Any]:
    """Return the settings that decide the bytes: all but the folder."""
    mapping = to_mapping(config)
    del mapping["out"]
    return mapping
