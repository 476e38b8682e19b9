"""Train, or resume a run."""

import os
from typing import TYPE_CHECKING, Any

from esmm_dist.api.call_settings import SettingsFile, call_settings
from esmm_dist.api.forked_process import check_not_forked
from esmm_dist.api.shown_progress import shown_progress
from esmm_dist.api.task import run_task
from esmm_dist.progress import Progress
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train as train_run
from esmm_dist.train.run_settings import resumed_settings

if TYPE_CHECKING:
    from esmm_dist.train.result import TrainResult


def train(
    data: str | os.PathLike[str] | None = None,
    run: str | os.PathLike[str] | None = None,
    *,
    config: SettingsFile = None,
    progress: Progress | bool = False,
    **settings: Any,
) -> "TrainResult":
    """Train a model in this process, or resume the run that is there, as ``esmm train``.

    Blocks until all epochs are done. In the main thread Ctrl-C (in a notebook: Interrupt), SIGTERM or SIGHUP ends it
    after the running step: a checkpoint is written, and the result says so; a second Ctrl-C raises KeyboardInterrupt.
    In another thread signals are left to the caller. The caller's handlers stand again afterwards.

    Args:
        data: the data set: what ``preprocess`` returned, or its folder; None: that of the run
        run: folder or URI of the run
        config: settings in groups, as ``--config``: a file, the name of a shipped one, or a mapping
        progress: True for a line on stderr, or what receives the progress
        **settings: settings by the names of flags (``epochs=2, network="din"``), which a run that is there need not be
            given again; ``continue_=True`` goes on with the run's next data set

    Raises:
        ConfigError: A setting is unknown or wrong.
        EsmmError: Whatever training raises.
    """
    check_not_forked()
    given = {**settings, **{name: value for name, value in (("data", data), ("run", run)) if value is not None}}
    named = call_settings(TrainConfig, given, config)
    continues = bool(named.get("continue"))
    next_data, again = named.get("data"), bool(named.get("again"))
    earlier = (
        resumed_settings(named["run"], continues=continues, data=next_data, again=again) if "run" in named else None
    )
    values = call_settings(TrainConfig, given, config, earlier)
    return run_task("train", TrainConfig, values, shown_progress(progress), train_run)
