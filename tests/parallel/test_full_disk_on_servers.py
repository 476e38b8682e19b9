"""A disk that is full for a while when servers save: training goes on, and no half files stay."""

from typing import Any

import pytest

from esmm_dist.checkpoint.format import checkpoint_steps
from esmm_dist.checkpoint.reader import open_checkpoint, verify_tables
from esmm_dist.config import build
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from tests.support.small_disk import FillsDisk, small_disk
from tests.support.tiny_dataset import tiny_groups, write_dataset

pytestmark = pytest.mark.timeout(300)


def test_training_on_servers_goes_on_while_the_disk_is_full(tmp_path, two_servers):
    write_dataset(tmp_path / "data", {"train": tiny_groups(320)})
    with small_disk(tmp_path / "disk", kilobytes=1024) as place:
        run, seen = place / "run", []

        def look() -> None:
            folder = Folder.open(run)
            seen.extend(checkpoint_steps(folder))
            verify_tables(open_checkpoint(folder, 50))

        settings: dict[str, Any] = {
            "data": tmp_path / "data",
            "run": str(run),
            "input": {"global_batch_records": 16, "epochs": 8},
            "embedding": {"embedding_dim": 4},
            "model": {"hidden_units": [8]},
            "checkpoint": {"checkpoint_every_steps": 50},
            "log_every_steps": 1,
            "store": {"servers": two_servers.servers},
        }
        progress = FillsDisk(place, range(98, 107), before_room=look)
        result = train(build(TrainConfig, settings, where="test"), progress)
        assert (result.step, result.stopped_by) == (160, None)
        assert seen == [50]
        failed = [text for text in progress.texts if text.startswith("The checkpoint of step")]
        assert [text.partition(";")[0] for text in failed] == [
            f"The checkpoint of step {step} could not be written" for step in (100, 105)
        ]
        assert all("No space left on device" in text for text in failed)
        assert sorted(path.name for path in (run / "checkpoints").iterdir()) == [
            f"step-{step:08d}" for step in (110, 150, 160)
        ]
        for step in (110, 150, 160):
            verify_tables(open_checkpoint(Folder.open(run), step))
