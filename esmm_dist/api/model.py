"""A trained model in memory."""

import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from esmm_dist.api.call_settings import call_settings
from esmm_dist.api.forked_process import check_not_forked
from esmm_dist.api.named_run import named_run
from esmm_dist.api.shown_progress import shown_progress
from esmm_dist.api.task import run_task
from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.config import build
from esmm_dist.errors import ConfigError
from esmm_dist.inference.evaluate import EvaluateConfig, Evaluation, evaluate_model
from esmm_dist.parameter_server.config import ConnectionConfig
from esmm_dist.process.quiet import import_tensorflow
from esmm_dist.progress import Progress
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.schema.fields import Schema
from esmm_dist.table_kinds import given_table

if TYPE_CHECKING:
    from esmm_dist.inference.trained_model import TrainedModel


class Model:
    """A model with its rows in memory, from ``load_model``; a context manager.

    Ownership: it belongs to the process that loaded it; threads may share it, and take turns. Shutdown: ``close`` frees
    the rows; a second call is harmless.
    """

    def __init__(self, trained: "TrainedModel", run: str, closing: ExitStack) -> None:
        """Own a model.

        Args:
            trained: the model
            run: the run that it is from
            closing: closed with the model
        """
        self._trained, self._closing = trained, closing
        self._lock = threading.Lock()
        self._is_open = True
        self.run = run
        """Folder or URI of the run."""

    @property
    def step(self) -> int:
        """Step of the checkpoint."""
        return self._trained.step

    @property
    def schema(self) -> Schema:
        """Schema of the log that the model was trained on."""
        return self._trained.scorer.schema

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of scores that ``predict`` returns, such as ``pctr, pcvr, pctcvr``."""
        return tuple(self.schema.label_tree.columns)

    def predict(self, table: Any, keep: Sequence[str] = (), *, bad_rows: str = "fail") -> Any:
        """Score each row of a table, which needs no labels; blocks until all are scored.

        Args:
            table: R rows (pandas, polars or Arrow) with the columns of the model's fields, as its log has them; others
                are ignored
            keep: columns to return in front of the scores
            bad_rows: what to do with a row that does not fit its fields: ``fail``, or ``null`` for scores that are null

        Returns:
            R rows in the table's order and of its kind: ``keep``, and ``columns``, float32 probabilities.

        Raises:
            SchemaError: A column is missing or has a type that cannot be read.
            InputDataError: A row does not fit its fields, and ``bad_rows`` is ``fail``.
            ConfigError: The model is closed, or ``keep`` or ``bad_rows`` is wrong.
        """
        given = given_table(table)
        with self._lock:
            self._check()
            from esmm_dist.raw_scoring.score_table import score_table

            return given.as_given(score_table(self._trained, given.table, keep, bad_rows=bad_rows))  # type: ignore[arg-type]

    def evaluate(
        self,
        data: str | os.PathLike[str],
        split: str | None = None,
        *,
        progress: Progress | bool = False,
        **settings: Any,
    ) -> Evaluation:
        """Measure the model on a split of a data set, as ``esmm_dist.evaluate``.

        Args:
            data: the data set
            split: the split; None: validation where the data set has one, else test
            progress: True for a line on stderr, or what receives the progress
            **settings: settings by the names of flags, such as ``by=["gender"]``, without those of loading

        Raises:
            ConfigError: The model is closed, or a setting is wrong.
            EsmmError: The data set is missing, damaged or of another schema.
        """
        loading = [name for name in ("run", "step", "calibrate", "servers", "store") if name in settings]
        if loading:
            raise ConfigError(f"{loading[0]} says how a model is loaded. Give it to load_model.")
        given = {**settings, "run": self.run, "data": data, "split": split}
        values = call_settings(EvaluateConfig, given)
        with self._lock:
            self._check()

            def work(config: EvaluateConfig, shown: Progress) -> Evaluation:
                return evaluate_model(self._trained, config, SoloWorld(), shown)

            return run_task("evaluate", EvaluateConfig, values, shown_progress(progress), work)

    def close(self) -> None:
        """Free the model's rows, when no other thread is using it."""
        with self._lock:
            self._is_open = False
            self._closing.close()

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "" if self._is_open else ", closed"
        return f"Model of {self.run} at step {self.step}: {', '.join(self.columns)}{state}"

    def _check(self) -> None:
        check_not_forked()
        if not self._is_open:
            raise ConfigError(f"The model of {self.run} is closed. Load it again: load_model({self.run!r}).")


def load_model(
    run: Any,
    *,
    step: int | None = None,
    calibrate: bool = True,
    progress: Progress | bool = False,
    **settings: Any,
) -> Model:
    """Load a model with its rows.

    Args:
        run: what ``train`` returned, or the folder or URI of a run; ``RUN:STEP`` names one of its checkpoints
        step: step of the checkpoint; None: the best of a run with early stopping, else the newest that is undamaged
        calibrate: whether to use the calibration that the checkpoint keeps
        progress: True for a line on stderr, or what receives the progress
        **settings: servers that hold the rows meanwhile, by the names of flags: ``servers=["host:port"]``

    Raises:
        CheckpointError: The run has no (such) checkpoint, or only damaged ones.
        EsmmError: A setting is wrong, or a server or the storage refuses.
    """
    check_not_forked()
    choice = CheckpointChoice.parse(named_run(run), step)
    connection = build(ConnectionConfig, call_settings(ConnectionConfig, settings), where="")
    import_tensorflow()
    from esmm_dist.inference.trained_model import open_model

    shown = shown_progress(progress)
    with ExitStack() as stack:
        stack.callback(shown.finish)
        opened = open_model(choice, shown, connection=connection, world=SoloWorld(), calibrate=calibrate)
        closing = ExitStack()
        return Model(closing.enter_context(opened), choice.run, closing)
