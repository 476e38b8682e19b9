"""Evaluate, score and export a trained model."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esmm_dist.api.call_settings import SettingsFile, call_settings
from esmm_dist.api.forked_process import check_not_forked
from esmm_dist.api.model import Model, load_model
from esmm_dist.api.named_run import named_run
from esmm_dist.api.shown_progress import shown_progress
from esmm_dist.api.task import run_task
from esmm_dist.errors import ConfigError
from esmm_dist.inference.evaluate import EvaluateConfig, Evaluation
from esmm_dist.inference.evaluate import evaluate as evaluate_run
from esmm_dist.inference.export import ExportConfig, ExportResult
from esmm_dist.inference.export import export as export_run
from esmm_dist.inference.predict import PredictConfig, PredictResult
from esmm_dist.progress import Progress
from esmm_dist.raw_scoring.predict_or_score import predict_or_score_raw

if TYPE_CHECKING:
    from esmm_dist.raw_scoring.raw_result import RawResult


def evaluate(
    run: Any,
    data: str | os.PathLike[str],
    split: str | None = None,
    *,
    config: SettingsFile = None,
    progress: Progress | bool = False,
    **settings: Any,
) -> Evaluation:
    """Measure a trained model on a split of a data set, as ``esmm evaluate``.

    Args:
        run: what ``train`` returned, or the folder or URI of a run
        data: what ``preprocess`` returned, or the folder or URI of a data set
        split: the split; None: validation where the data set has one, else test
        config: settings in groups, as ``--config``
        progress: True for a line on stderr, or what receives the progress
        **settings: settings by the names of flags: ``by=["gender"], step=1000``

    Raises:
        EsmmError: A setting is wrong; the run, the data set or the split is missing, damaged, or does not fit.
    """
    check_not_forked()
    given = {**settings, "run": named_run(run), "data": data}
    if split is not None:
        given["split"] = split
    values = call_settings(EvaluateConfig, given, config)
    return run_task("evaluate", EvaluateConfig, values, shown_progress(progress), evaluate_run)


def predict(
    run: Any,
    data: str | os.PathLike[str] | None = None,
    *,
    table: Any = None,
    out: str | os.PathLike[str] | None = None,
    progress: Progress | bool = False,
    **settings: Any,
) -> Any:
    """Score a table in memory, a split of a data set, or a raw log without labels, as ``esmm predict``.

    Args:
        run: a model, what ``train`` returned, or the folder or URI of a run
        data: a data set, of which ``split`` (default: test) is scored
        table: R rows (pandas, polars or Arrow) to score; as ``Model.predict``
        out: file to write; None: the scores are returned
        progress: True for a line on stderr, or what receives the progress
        **settings: settings by the names of flags: ``keep=["user_id"]``, ``split="validation"``, ``raw="logs/*.csv"``

    Returns:
        The scores of a table as R rows of its kind. Else with ``out`` a ``PredictResult`` (``RawResult`` of a raw log),
        without it the scores as an Arrow table.

    Raises:
        EsmmError: A setting is wrong; the run or the data is missing, damaged, or does not fit the other.
    """
    check_not_forked()
    if table is not None:
        if data is not None or out is not None or "raw" in settings:
            raise ConfigError("table is given, and scores of a table are returned. Leave out data, raw and out.")
        return _of_table(run, table, progress, settings)
    if out is None and settings.get("raw") is not None:
        raise ConfigError("raw is given without out: rows that cannot be scored are listed beside it. Give out too.")
    if isinstance(run, Model):
        settings = {"step": run.step, **settings}
    given = {**settings, "run": named_run(run)}
    if data is not None:
        given["data"] = data
    if out is not None:
        return _written({**given, "out": out}, progress)
    with tempfile.TemporaryDirectory(prefix="esmm-scores-") as scratch:
        import pyarrow.parquet as pq

        path = Path(scratch) / "scores.parquet"
        _written({**given, "out": path}, progress)
        return pq.read_table(path, memory_map=False)


def export(
    run: Any,
    out: str | os.PathLike[str],
    *,
    config: SettingsFile = None,
    progress: Progress | bool = False,
    **settings: Any,
) -> ExportResult:
    """Write a model as a TensorFlow SavedModel, as ``esmm export``.

    Args:
        run: what ``train`` returned, or the folder or URI of a run
        out: folder or URI to write, which must not exist
        config: settings in groups, as ``--config``
        progress: True for a line on stderr, or what receives the progress
        **settings: settings by the names of flags: ``step=1000``

    Raises:
        EsmmError: A setting is wrong, the run has no (such) checkpoint, or the folder cannot be written.
    """
    check_not_forked()
    values = call_settings(ExportConfig, {**settings, "run": named_run(run), "out": out}, config)
    return run_task("export", ExportConfig, values, shown_progress(progress), export_run)


def _written(given: dict[str, Any], progress: Progress | bool) -> "PredictResult | RawResult":
    values = call_settings(PredictConfig, given)
    return run_task("predict", PredictConfig, values, shown_progress(progress), predict_or_score_raw)


def _of_table(run: Any, table: Any, progress: Progress | bool, settings: dict[str, Any]) -> Any:
    keep: Sequence[str] = settings.pop("keep", ())
    bad_rows = settings.pop("bad_rows", "fail")
    if isinstance(run, Model):
        if settings:
            raise ConfigError(f"{next(iter(settings))} says how a model is loaded. Give it to load_model.")
        return run.predict(table, keep, bad_rows=bad_rows)
    with load_model(run, progress=progress, **settings) as model:
        return model.predict(table, keep, bad_rows=bad_rows)
