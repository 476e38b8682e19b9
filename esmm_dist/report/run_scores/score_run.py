"""Score a split with a run's model, once, for everything that a page shows of it."""

from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.config import to_mapping
from esmm_dist.input.config import OnBadRecord
from esmm_dist.parameter_server.config import ConnectionConfig
from esmm_dist.process.quiet import import_tensorflow
from esmm_dist.progress import Progress
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.report.run_scores.curves import ScoreCurves
from esmm_dist.report.run_scores.kept_scores import ScoreKeeper
from esmm_dist.report.run_scores.scores import RunScores, TaskScores
from esmm_dist.storage.folder import Folder

if TYPE_CHECKING:
    from esmm_dist.inference.trained_model import TrainedModel


@dataclass(frozen=True, kw_only=True)
class ScoreRequest:
    """What is scored, and which parts of it are looked at apart; as in ``EvaluateConfig``."""

    data: Path | None = None
    """The data set. None: the one that the run was trained on last."""
    split: str | None = None
    """None: ``validation`` where the data set has one, else ``test``."""
    by: tuple[str, ...] = ()
    by_values: int = 10
    gauc_field: str | None = None
    item_field: str | None = None
    on_bad_record: OnBadRecord = "fail"
    store: ConnectionConfig = field(default_factory=ConnectionConfig)


def score_run(
    choice: CheckpointChoice, request: ScoreRequest, progress: Progress, *, keeper: ScoreKeeper | None = None
) -> RunScores:
    """Load a run's model and score a split with it, in one pass and in memory that does not grow with the split.

    Args:
        choice: the checkpoint
        request: what is scored
        progress: receives the number of impressions
        keeper: keeps the score of each impression too, for a comparison with another model

    Raises:
        EsmmError: The run, the data set or the split is missing, damaged, or does not fit the other.
    """
    import_tensorflow()  # here, so that reading settings and help does not wait for it
    from esmm_dist.inference.trained_model import open_model

    with open_model(choice, progress, connection=request.store, world=SoloWorld()) as trained:
        return score_model(trained, choice.run, request, progress, keeper=keeper)


def score_model(
    trained: "TrainedModel", run: str, request: ScoreRequest, progress: Progress, *, keeper: ScoreKeeper | None = None
) -> RunScores:
    """Score a split with a model that is loaded, as ``score_run`` does.

    Args:
        trained: the model
        run: path or URI of its run
        request: what is scored
        progress: receives the number of impressions
        keeper: as in ``score_run``

    Raises:
        EsmmError: As ``score_run``.
    """
    from esmm_dist.inference.evaluate import EvaluateConfig, evaluate_model
    from esmm_dist.inference.run_data import data_of_run
    from esmm_dist.schema.manifest import read_manifest

    data = data_of_run(trained, request.data, run)
    manifest = read_manifest(data)
    if keeper is not None:
        keeper.start(manifest.splits[manifest.split_to_evaluate(request.split)].impressions)
    curves: dict[str, ScoreCurves] = {}

    def curves_of(task: str, weight: Fraction) -> ScoreCurves:
        curves[task] = ScoreCurves(weight)
        return curves[task]

    config = EvaluateConfig(
        run=run,
        data=data,
        split=request.split,
        on_bad_record=request.on_bad_record,
        gauc_field=request.gauc_field,
        baseline=False,
        by=request.by,
        by_values=request.by_values,
        segments=True,
        item_field=request.item_field,
    )
    on_batch = None if keeper is None else keeper.add
    found = evaluate_model(trained, config, SoloWorld(), progress, on_batch=on_batch, curves=curves_of)
    tree = trained.scorer.schema.label_tree
    tasks = {
        task.name: TaskScores(
            metrics=asdict(found.tasks[task.name]),
            deciles=[asdict(each) for each in found.deciles[task.name]],
            histogram=curves[task.name].histogram(),
            gain=curves[task.name].gain(),
            column=task.column,
            label=tree.names[task.label],
            given="" if task.given is None else tree.names[task.given],
        )
        for task in tree.tasks
    }
    return RunScores(
        run=str(Folder.open(run)),  # without credentials
        step=trained.step,
        data=str(data),
        split=found.split,
        impressions=next(iter(found.tasks.values())).impressions,
        tasks=tasks,
        segments=[
            {
                "name": table.name,
                "by_values": table.by_values,
                "title": table.title,
                "segments": [each.to_mapping() for each in table.segments],
            }
            for table in found.segments
        ],
        calibrated_by=None if found.calibration is None else to_mapping(found.calibration),
    )
