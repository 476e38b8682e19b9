"""Training through the library: as the command's, and without harm to the caller's process."""

import gc
import os
import signal
import threading

import esmm_dist
from esmm_dist.checkpoint.reader import open_checkpoint
from esmm_dist.storage.folder import Folder
from tests.unit.api.conftest import SETTINGS


class Interrupting:
    """Sends this process SIGINT at a step of the training."""

    def __init__(self, step: int) -> None:
        self._left, self._training = step, False

    def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
        self._training = task == "Training"

    def advance(self, amount: float, note: str = "") -> None:
        if self._training:
            self._left -= round(amount)
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGINT)

    def message(self, text: str) -> None:
        pass

    def finish(self) -> None:
        pass


def dense_of(run) -> dict:
    return {name: array.tobytes() for name, array in open_checkpoint(Folder.open(run.run), run.step).dense().items()}


def test_an_interrupt_ends_a_training_with_a_checkpoint_from_which_it_goes_on(shop, tmp_path):
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    stopped = esmm_dist.train(shop.data, tmp_path / "run", progress=Interrupting(3), **SETTINGS)
    assert stopped.stopped_by == "SIGINT"
    assert 3 <= stopped.step < shop.run.step
    assert {number: signal.getsignal(number) for number in handlers} == handlers
    frozen = gc.get_freeze_count()
    resumed = esmm_dist.train(run=tmp_path / "run")  # its data and settings are the run's
    assert gc.get_freeze_count() <= frozen  # what a training leaves in cycles can be collected
    assert (resumed.step, resumed.metrics) == (shop.run.step, shop.run.metrics)
    assert dense_of(resumed) == dense_of(shop.run)


def test_a_thread_trains_the_same_model(shop, tmp_path):
    found: list = []
    thread = threading.Thread(
        target=lambda: found.append(esmm_dist.train(data=shop.data.path, run=str(tmp_path / "run"), **SETTINGS))
    )
    thread.start()
    thread.join()
    assert found[0].metrics == shop.run.metrics
    assert dense_of(found[0]) == dense_of(shop.run)


def test_a_result_shows_the_report_of_the_command(shop):
    assert repr(shop.run) == "\n".join(shop.run.lines())
    assert "task" in repr(shop.run)
    assert shop.run.metrics["ctr"].impressions == 80
