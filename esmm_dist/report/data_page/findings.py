"""What a reader should know of a data set before training on it, told from its numbers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from esmm_dist.report.data_page.compared import (
    TRAIN,
    coverage,
    in_split,
    later_splits,
    looked_at,
    ordered_splits,
    unseen_occurrence_share,
    unseen_share,
)
from esmm_dist.report.data_page.drift_level import DRIFTED_PSI, beyond_noise, psi_noise
from esmm_dist.report.data_page.rates import ASSUMED_AUC, label_rates
from esmm_dist.report.data_page.texts import decimal, field_name, listed, percent, ratio, shown, whole
from esmm_dist.report.data_statistics.statistics import DataStatistics, FieldStatistics

LARGE_AUC_ERROR = 0.01
"""A standard error of AUC above this hides the differences that are worth a change of a model (often 0.002 to 0.01)."""

LOST_COVERAGE = 0.1
"""A field that covers this much less of a split than of train is told of: a model learnt to count on it."""

MANY_UNSEEN = 0.5
BROKEN_SHARE = 0.001
"""Share of a label's occurrences without the label on the way to it above which they are more than a few slips."""

REJECTED_SHARE = 0.01


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One sentence or two."""

    text: str
    warns: bool
    """Whether it may spoil a model or its evaluation; else it is a remark."""


def findings(statistics: DataStatistics) -> list[Finding]:
    """Return what stands out, warnings first."""
    checks: Sequence[Callable[[DataStatistics], Iterator[Finding]]] = (
        _nothing_there,
        _missing_splits,
        _one_class,
        _broken_labels,
        _coarse_auc,
        _days_out_of_order,
        _lost_coverage,
        _unseen_ids,
        _drifted,
        _constant_fields,
        _rejected,
        _left_out,
    )
    found = [each for check in checks for each in check(statistics)]
    return [each for each in found if each.warns] + [each for each in found if not each.warns]


def _nothing_there(statistics: DataStatistics) -> Iterator[Finding]:
    empty = [shown(name) for name, split in statistics.splits.items() if not split.funnel.impressions]
    if empty or not statistics.splits:
        where = f"{listed(empty)} has" if empty else "The data have"
        yield Finding(text=f"{where} no impressions.", warns=True)


def _missing_splits(statistics: DataStatistics) -> Iterator[Finding]:
    if TRAIN not in statistics.splits:
        yield Finding(
            text="There is no train split: nothing is compared with train, and ids by --min-count are not known.",
            warns=False,
        )
    elif not later_splits(statistics):
        yield Finding(
            text="There is only the train split: a model of it can be measured only on impressions that it has seen.",
            warns=False,
        )


def _one_class(statistics: DataStatistics) -> Iterator[Finding]:
    for split in ordered_splits(statistics):
        for rate in label_rates(statistics, statistics.splits[split].funnel):
            if not rate.of:
                continue
            if not rate.positives:
                yield Finding(
                    text=f"No impression of {shown(split)} has {shown(rate.label)}: there is nothing to "
                    f"{'learn it from' if split == TRAIN else 'measure it by'}.",
                    warns=True,
                )
            elif rate.positives == rate.of:
                which = f"impression with {shown(rate.given)}" if rate.given else "impression"
                yield Finding(text=f"Every {which} of {shown(split)} has {shown(rate.label)}, too.", warns=True)


def _broken_labels(statistics: DataStatistics) -> Iterator[Finding]:
    for split in ordered_splits(statistics):
        funnel = statistics.splits[split].funnel
        for label, parent in zip(statistics.label_names, statistics.label_parents, strict=True):
            broken = funnel.broken.get(label, 0)
            if not broken or parent < 0:
                continue
            all_of_it = broken + funnel.labels.get(label, 0)
            yield Finding(
                text=f"{whole(broken)} impressions of {shown(split)} have {shown(label)} without "
                f"{shown(statistics.label_names[parent])}, {percent(ratio(broken, all_of_it))} of those with "
                f"{shown(label)}: they count as impressions without {shown(label)}.",
                warns=broken > BROKEN_SHARE * all_of_it,
            )


def _coarse_auc(statistics: DataStatistics) -> Iterator[Finding]:
    split = looked_at(statistics)
    if split is None:
        return
    for rate in label_rates(statistics, statistics.splits[split].funnel):
        if rate.auc_standard_error > LARGE_AUC_ERROR:
            yield Finding(
                text=f"With {whole(rate.positives)} impressions that have {shown(rate.label)}, {shown(split)} measures "
                f"an AUC of {ASSUMED_AUC} with a standard error of {decimal(rate.auc_standard_error)} (Hanley and "
                f"McNeil 1982), so a 95% interval of ± {decimal(1.96 * rate.auc_standard_error)}. Compare models by "
                "their paired difference: esmm compare-runs.",
                warns=True,
            )


def _days_out_of_order(statistics: DataStatistics) -> Iterator[Finding]:
    train = statistics.days.get(TRAIN)
    if not train:
        return
    for split in later_splits(statistics):
        days = statistics.days.get(split)
        if not days:
            continue
        if max(days) < max(train):
            yield Finding(
                text=f"{shown(split)} ends on {max(days)}, before train's last day {max(train)}: a model is trained on "
                "what comes after the impressions that it is measured by.",
                warns=True,
            )
        elif min(days) <= max(train):
            both = len(set(days) & set(train))
            yield Finding(
                text=f"{whole(both)} of {shown(split)}'s {whole(len(days))} days are also train's: the split is not by "
                "time, so a measurement says little of how a model does on later days.",
                warns=False,
            )


def _lost_coverage(statistics: DataStatistics) -> Iterator[Finding]:
    for split in later_splits(statistics):
        lost = [
            (coverage(statistics, field, TRAIN) - coverage(statistics, field, split), field)
            for field in statistics.fields
        ]
        worst = sorted(((gap, field) for gap, field in lost if gap >= LOST_COVERAGE), key=lambda each: -each[0])
        if worst:
            names = [
                f"{field_name(field)} ({percent(coverage(statistics, field, TRAIN))} of train, "
                f"{percent(coverage(statistics, field, split))} of {shown(split)})"
                for _, field in worst
            ]
            yield Finding(
                text=f"Fewer impressions of {shown(split)} than of train have an id of {listed(names)}. A data set "
                "keeps only ids that train has often enough: a drop may be new ids.",
                warns=True,
            )


def _unseen_ids(statistics: DataStatistics) -> Iterator[Finding]:
    for split in later_splits(statistics):
        shares = [(unseen_share(field, split), field) for field in statistics.fields]
        many = sorted(((share, field) for share, field in shares if share > MANY_UNSEEN), key=lambda each: -each[0])
        if many:
            names = [
                f"{field_name(field)} ({percent(share)}; {percent(unseen_occurrence_share(field, split))} of "
                "occurrences)"
                for share, field in many
            ]
            yield Finding(
                text=f"More than half of {shown(split)}'s ids do not occur in train: {listed(names)}. A model knows "
                "nothing of them.",
                warns=True,
            )


def _drifted(statistics: DataStatistics) -> Iterator[Finding]:
    for split in later_splits(statistics):
        far = []
        for field in statistics.fields:
            inside = in_split(field, split)
            if inside and inside.psi is not None and inside.psi > DRIFTED_PSI and beyond_noise(field, split):
                far.append((inside.psi, field))
        if far:
            far.sort(key=lambda each: -each[0])
            names = [f"{field_name(field)} ({decimal(psi)})" for psi, field in far]
            yield Finding(
                text=f"Between train and {shown(split)} the values of {listed(names)} shift: population stability "
                f"index above {DRIFTED_PSI} and above what chance gives.",
                warns=True,
            )


def _constant_fields(statistics: DataStatistics) -> Iterator[Finding]:
    one, none = [], []
    for field in statistics.fields:
        told = [inside for inside in field.splits.values() if inside is not None]
        if not told or not any(split.funnel.impressions for split in statistics.splits.values()):
            continue
        if not any(inside.covered for inside in told):
            none.append(field_name(field))
        elif _has_one_value(field):
            one.append(field_name(field))
    if one:
        yield Finding(text=f"One value only: {listed(one)}. A model learns nothing from {_it(one)}.", warns=True)
    if none:
        yield Finding(text=f"No value in any impression: {listed(none)}.", warns=True)


def _has_one_value(field: FieldStatistics) -> bool:
    told = field.splits.get(TRAIN) or next(iter(field.splits.values()))
    return told.distinct_ids == 1 and not field.ids_are_estimates


def _it(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"


def _rejected(statistics: DataStatistics) -> Iterator[Finding]:
    rejected = sum(statistics.rejected.values())
    if rejected:
        impressions = sum(split.funnel.impressions for split in statistics.splits.values())
        share = ratio(rejected, rejected + impressions)
        yield Finding(
            text=f"{whole(rejected)} lines were rejected, {percent(share)} of the lines: see How this was read.",
            warns=share > REJECTED_SHARE,
        )


def _left_out(statistics: DataStatistics) -> Iterator[Finding]:
    for reason, count in statistics.left_out.items():
        if count:
            yield Finding(text=f"Not in these numbers: {whole(count)} impressions ({shown(reason, 80)}).", warns=False)
    if statistics.sample_share < 1:
        yield Finding(
            text=f"The numbers are of {percent(statistics.sample_share)} of the user contexts, chosen by a hash.",
            warns=False,
        )
