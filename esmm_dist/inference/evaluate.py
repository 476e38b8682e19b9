"""Evaluate a checkpoint of a run on a split."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esmm_dist.calibration.calibration import Calibration
from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.config import to_mapping
from esmm_dist.errors import ConfigError
from esmm_dist.inference.tables.coverage_table import coverage_table
from esmm_dist.inference.tables.deciles_table import deciles_table
from esmm_dist.inference.tables.metrics_table import metrics_table
from esmm_dist.inference.tables.segments_table import segments_tables
from esmm_dist.input.config import OnBadRecord
from esmm_dist.input.skipped import gather_skipped, skipped_lines
from esmm_dist.input.users import BatchUsers
from esmm_dist.model.metrics.deciles import Decile
from esmm_dist.model.metrics.summary import TaskMetrics
from esmm_dist.model.metrics.task_report import TaskReport
from esmm_dist.parameter_server.config import ConnectionConfig
from esmm_dist.process.quiet import import_tensorflow
from esmm_dist.progress import NoProgress, Progress
from esmm_dist.ranks.open_world import open_world
from esmm_dist.ranks.world import World
from esmm_dist.reported import Reported
from esmm_dist.schema.coverage import FieldCoverage, fields_cut_by, scored_coverage, scored_warnings
from esmm_dist.schema.label_tree import LabelTree
from esmm_dist.schema.manifest import DatasetManifest

if TYPE_CHECKING:
    from esmm_dist.inference.baseline import Baseline
    from esmm_dist.inference.scoring import LabelledBatch
    from esmm_dist.inference.segments import SegmentTable
    from esmm_dist.inference.trained_model import TrainedModel
    from esmm_dist.model.metrics.label_tree_metrics import CurvesOf

_MOST_VALUES = 1000


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Which model is evaluated on what."""

    run: str
    """The run, a path or a URI; RUN:STEP names one of its checkpoints."""

    step: int | None = None
    """Step of the checkpoint. None: the best of a run with early stopping, else the newest that is undamaged."""

    data: Path
    """The data set: a folder that ``esmm preprocess`` wrote with the run's schema."""

    split: str | None = None
    """Split of the data set to evaluate on. None: ``validation`` where the data set has one, else ``test``."""

    on_bad_record: OnBadRecord = "fail"
    """What to do with a record that cannot be read: ``fail``, or ``skip`` it and say how many were left out."""

    calibrate: bool = True
    """Whether to use the calibration that the checkpoint keeps. Without it, or if it keeps none, probabilities are
    those of the model."""

    gauc_field: str | None = None
    """Field whose ids are the users of GAUC. None: the first one-hot field of the users, such as user_id."""

    baseline: bool = True
    """Whether to train logistic regression on the data set's train split too (seconds, on up to 250,000 impressions),
    and to say where the model is below it."""

    deciles: bool = False
    """Whether to show the calibration of each task by decile of its predictions; ``--json`` has it in any case."""

    by: tuple[str, ...] = ()
    """One-hot fields, by name or alias, for whose values to show AUC and calibration apart: ``gender,age``."""

    by_values: int = 10
    """Values of a field of ``by`` that are shown, 1 .. 1000: those with the most impressions in the split. The others
    are put together."""

    segments: bool = False
    """Whether to show AUC and calibration apart for users whose ids the model has learned and for others, and for rare
    and popular items. Users are those of ``gauc_field``; the data set's vocabulary says how popular items are."""

    item_field: str | None = None
    """One-hot field, by name or alias, whose ids are the items of ``segments``. None: the first one that items own."""

    store: ConnectionConfig = field(default_factory=ConnectionConfig)

    def __post_init__(self) -> None:
        _ = self.checkpoint  # checks run and step
        if not 1 <= self.by_values <= _MOST_VALUES:
            raise ConfigError(f"by_values is {self.by_values}. Set 1 .. {_MOST_VALUES}.")
        if self.item_field is not None and not self.segments:
            raise ConfigError(
                f"item_field is '{self.item_field}', which is for segments, and these are off. Set segments too "
                "(--segments), or leave out item_field."
            )

    @property
    def checkpoint(self) -> CheckpointChoice:
        """The checkpoint that is evaluated."""
        return CheckpointChoice.parse(self.run, self.step)


@dataclass(frozen=True, kw_only=True, repr=False)
class Evaluation(Reported):
    """Result of an evaluation."""

    split: str
    """Split that was scored."""
    tasks: dict[str, TaskMetrics]
    fields: list[FieldCoverage]
    """For each field, how many impressions hold an id that the model has learned."""
    warnings: list[str]
    baseline: "Baseline | None"
    """What logistic regression reaches; None if it was not requested or not possible."""
    deciles: Mapping[str, tuple[Decile, ...]]
    """Calibration of each task by decile of its predictions."""
    calibration: Calibration | None = None
    """What probabilities are calibrated by; None: they are not."""
    segments: "Sequence[SegmentTable]" = ()
    """All impressions cut into segments, in each of the ways that were asked for."""

    def lines(self, *, deciles: bool = False) -> list[str]:
        """Return the report, a line each.

        Args:
            deciles: whether to show the calibration of each task by decile of its predictions
        """
        return [
            *metrics_table(self.tasks, self.baseline, calibration_errors=True),
            "ECE: mean distance of predictions and labels over deciles; of noise: about what right predictions have",
            *(deciles_table(self.deciles) if deciles else []),
            *segments_tables(self.segments),
            "",
            *coverage_table(self.fields),
            "empty: impressions without an id in the log; unknown: without one that the model has learned (in train: "
            "kept)",
            *(f"Warning: {line}" for line in self.warnings),
        ]

    def to_mapping(self) -> dict[str, Any]:
        """Return the metrics of each task by its name, and beside them what else was found.

        ``by`` holds the values of each field, ``segments`` those of ``users`` and ``items``: lists of ``Segment``.
        """
        fields = {each.name: asdict(each) for each in self.fields}
        deciles = {name: [asdict(each) for each in of_task] for name, of_task in self.deciles.items()}
        return {
            **{name: {**asdict(task), "deciles": deciles[name]} for name, task in self.tasks.items()},
            "split": self.split,
            "fields": fields,
            "warnings": self.warnings,
            "baseline": self.baseline.to_mapping() if self.baseline is not None else None,
            "calibrated_by": to_mapping(self.calibration) if self.calibration is not None else None,
            **{
                key: {
                    table.name: [each.to_mapping() for each in table.segments]
                    for table in self.segments
                    if table.by_values == by_values
                }
                for key, by_values in (("by", True), ("segments", False))
            },
        }


def evaluate(config: EvaluateConfig, progress: Progress) -> Evaluation:
    """Score a split and compute the metrics of every task, alone or as one of Horovod's ranks.

    Raises:
        EsmmError: The run, the data set or the split is missing, damaged, or does not fit the other.
        WorkerLostError: Another rank has ended.
    """
    world = open_world(config.store.token_file)
    import_tensorflow()  # here, so that reading settings and help does not wait for it
    from esmm_dist.inference.trained_model import open_model

    progress = progress if world.rank == 0 else NoProgress()
    opened = open_model(config.checkpoint, progress, connection=config.store, world=world, calibrate=config.calibrate)
    with opened as trained:
        return evaluate_model(trained, config, world, progress)


def evaluate_model(
    trained: "TrainedModel",
    config: EvaluateConfig,
    world: World,
    progress: Progress,
    *,
    on_batch: Callable[["LabelledBatch"], None] | None = None,
    curves: "CurvesOf | None" = None,
) -> Evaluation:
    """Evaluate a model that is loaded; a collective.

    Args:
        trained: the model, whatever checkpoint the settings name
        config: what it is evaluated on, and what is shown
        world: ranks of the evaluation
        progress: receives the number of impressions, on rank 0
        on_batch: receives this rank's share of each batch too
        curves: as in ``LabelTreeMetrics.report``

    Raises:
        EsmmError: As ``evaluate``.
    """
    from esmm_dist.inference.baseline import baseline_of_root
    from esmm_dist.inference.learned_ids import LearnedIds
    from esmm_dist.inference.scoring import own_batches
    from esmm_dist.inference.segments import SegmentRequest, named_segments, requested_keys
    from esmm_dist.inference.trained_model import open_split

    reader, manifest = open_split(
        trained, config.data, config.split, world, on_bad_record=config.on_bad_record, with_names=bool(config.by)
    )
    split = manifest.split_to_evaluate(config.split)
    if config.split is None:
        others = [f"--split {name}" for name in manifest.splits if name not in ("train", split)]
        more = f" (others: {', '.join(others)})" if others else ""
        progress.message(f"Evaluating on the {split} split{more}.")
    users = BatchUsers(trained.scorer.schema, config.gauc_field)
    request = SegmentRequest(
        by=config.by, by_values=config.by_values, segments=config.segments, item_field=config.item_field
    )
    seen = trained.scorer.forward.model.seen_fields
    user_field = users.field.name if users.field in seen else None
    keys = requested_keys(request, config.data, manifest, progress, user_field=user_field)
    progress.start(f"Evaluating {split}", manifest.splits[split].impressions, "impressions")
    learned_ids = LearnedIds(seen, trained.start_values)
    try:
        batches = own_batches(trained.scorer, reader, users, learned_ids=learned_ids, keys=keys)
        with closing(batches) as scored:
            tree = trained.scorer.schema.label_tree
            watched = scored if on_batch is None else _watched(scored, on_batch)
            counted = _counted(watched, progress, world)
            reports = report_batches(counted, tree, world, segments=keys.most, curves=curves)
    finally:
        progress.finish()
    for line in skipped_lines(gather_skipped(world, reader.skipped)):
        progress.message(line)
    segments = named_segments(keys, reports, manifest.schema, world)
    fields = scored_coverage(manifest, split, learned_ids.counts(world))
    tasks = {name: report.metrics for name, report in reports.items()}
    baseline = None
    if config.baseline:
        baseline = baseline_of_root(world, config.data, manifest, split, config.on_bad_record, progress)
    warnings = [*_of_left_out(manifest, split), *scored_warnings(fields, split, fields_cut_by(manifest, split))]
    if baseline is not None:
        warnings += baseline.warnings(tasks)
    deciles = {name: report.deciles for name, report in reports.items()}
    return Evaluation(
        split=split,
        tasks=tasks,
        fields=fields,
        warnings=warnings,
        baseline=baseline,
        deciles=deciles,
        calibration=trained.calibration,
        segments=segments,
    )


def _watched(
    scored: Iterable["LabelledBatch"], on_batch: Callable[["LabelledBatch"], None]
) -> Iterator["LabelledBatch"]:
    for batch in scored:
        on_batch(batch)
        yield batch


def _of_left_out(manifest: DatasetManifest, split: str) -> list[str]:
    if split != "train" or manifest.keep_negatives == 1:
        return []
    return [
        f"The train split has {manifest.keep_negatives:g} of its negatives, and probabilities are those of the whole "
        "log: log loss, calibration and deciles compare them with other labels than they are of. AUCs hold."
    ]


def evaluate_batches(
    scored: Iterable["LabelledBatch"],
    tree: LabelTree,
    progress: Progress,
    world: World,
    max_impressions: int = 0,
) -> dict[str, TaskMetrics]:
    """Return the metrics of scored batches, as ``report_batches`` does.

    Args:
        scored: this rank's shares of batches; on every rank the same number
        tree: labels of the batches
        progress: receives the number of impressions
        world: ranks of the evaluation; all get the metrics
        max_impressions: stop after the batch that reaches this number; 0: use all
    """
    reports = report_batches(_counted(scored, progress, world, max_impressions), tree, world)
    return {name: report.metrics for name, report in reports.items()}


def report_batches(
    scored: Iterable["LabelledBatch"],
    tree: LabelTree,
    world: World,
    *,
    segments: Sequence[int] = (),
    curves: "CurvesOf | None" = None,
) -> dict[str, TaskReport]:
    """Compute the metrics of scored batches, exactly, in memory that does not grow with them (``LabelTreeMetrics``).

    Args:
        scored: this rank's shares of batches; on every rank the same number
        tree: labels of the batches
        world: ranks of the evaluation; all get the metrics
        segments: for each kind of key that batches have, how many of its keys have a segment of their own
        curves: as in ``LabelTreeMetrics.report``
    """
    from esmm_dist.model.metrics.label_tree_metrics import (
        LabelTreeMetrics,
    )  # here: its kernels are loaded in half a second

    with LabelTreeMetrics(tree, scale="logit", segments=segments) as metrics:
        for batch in scored:
            metrics.add(batch.labels, batch.logits, batch.users, batch.weights, batch.keys)
        return metrics.report(world, curves=curves)


def _counted(
    scored: Iterable["LabelledBatch"], progress: Progress, world: World, max_impressions: int = 0
) -> Iterator["LabelledBatch"]:
    """Yield batches until they have so many impressions over all ranks (0: all), and report how many; a collective."""
    impressions = 0
    for batch in scored:
        yield batch
        of_all_ranks = sum(world.gather_values(batch.num_impressions))
        impressions += of_all_ranks
        progress.advance(of_all_ranks)
        if max_impressions and impressions >= max_impressions:
            return
