"""The folder of a comparison: what lies where, and which comparison it is."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esmm_dist.errors import ConfigError, InputDataError
from esmm_dist.storage.whole_file import write_durable
from launcher.compare.models import ComparedModel
from launcher.trainings.locked_folder import locked_folder
from launcher.trainings.settings_file import differences, settings_text

SETTINGS_NAME = "settings.json"


@dataclass(frozen=True, kw_only=True)
class CompareFolder:
    """Where everything of a comparison lies."""

    path: Path

    @property
    def markdown(self) -> Path:
        """The table for readers."""
        return self.path / "comparison.md"

    @property
    def json(self) -> Path:
        """The table for programs, with all runs."""
        return self.path / "comparison.json"

    @property
    def picture(self) -> Path:
        """The picture."""
        return self.path / "comparison.png"

    def model_settings(self, model: str) -> Path:
        """Settings of a model, for ``esmm train --config``."""
        return self.path / "models" / model / "train.yaml"

    def of_seed(self, model: str, seed: int) -> Path:
        """Folder of a training."""
        return self.path / "models" / model / f"seed-{seed}"

    def has_run(self, model: str) -> bool:
        """Return whether a training of a model has come as far as a checkpoint, or is finished."""
        seeds = self.model_settings(model).parent.glob("seed-*")
        return any((each / "training.json").is_file() or any(each.glob("run/checkpoints/step-*")) for each in seeds)

    def check(self, data: Path, data_crc32c: int, models: Sequence[ComparedModel]) -> None:
        """Note which comparison this is, or check that it is the same one; more models may come to it.

        Only what has a run is held: settings of a model whose trainings all failed at once can be corrected.

        Args:
            data: folder of the data set
            data_crc32c: checksum of its manifest
            models: the models

        Raises:
            ConfigError: the data set or a model's settings are others than those of the runs that are there
            InputDataError: the note is damaged
        """
        note = self.path / SETTINGS_NAME
        stored: Mapping[str, Any] = {}
        if note.is_file():
            try:
                stored = json.loads(note.read_bytes())
            except ValueError as e:
                raise InputDataError(f"{note} is damaged ({e}). Give another folder as out.") from e
        before: Mapping[str, Any] = {name: of for name, of in stored.get("models", {}).items() if self.has_run(name)}
        if before and stored["the data set"] != data_crc32c:
            raise ConfigError(self._other_data(stored.get("data"), data))
        now = {each.name: each.settings for each in models}
        shared = [name for name in now if name in before]
        said = differences({name: before[name] for name in shared}, {name: now[name] for name in shared})
        if said:
            raise ConfigError(
                f"{self.path} holds runs of other settings: {said}. Set it back to continue that comparison, or give "
                "another folder as out."
            )
        for each in models:
            if each.name not in before:  # what is left of failed trainings
                shutil.rmtree(self.model_settings(each.name).parent, ignore_errors=True)
        whole = {"the data set": data_crc32c, "data": str(data.absolute()), "models": {**before, **now}}
        write_durable(note, (json.dumps(whole, indent=1) + "\n").encode())
        for each in models:
            self.model_settings(each.name).parent.mkdir(parents=True, exist_ok=True)
            text = settings_text(each.settings, [f"Model {each.name} of esmm compare, without seed, data and run"])
            write_durable(self.model_settings(each.name), text.encode())

    def _other_data(self, before: str | None, now: Path) -> str:
        """Return in words that runs are of another data set."""
        if before == str(now.absolute()):
            said = f"{now} as it was; it has been made anew since"
        else:
            said = f"{before or 'another one'}; data is {now}, which holds another data set"
        return (
            f"{self.path} holds runs on the data set {said}. Set data back to continue that comparison, or give "
            "another folder as out."
        )


@dataclass(frozen=True, kw_only=True)
class RunFiles:
    """What lies in the folder of one training."""

    path: Path

    @property
    def run(self) -> Path:
        """The run of ``esmm train``."""
        return self.path / "run"

    @property
    def log(self) -> Path:
        """What its processes printed."""
        return self.path / "log.txt"

    @property
    def training(self) -> Path:
        """What training it cost; there when it is trained."""
        return self.path / "training.json"

    def evaluation(self, split: str) -> Path:
        """Its metrics on a split."""
        return self.path / f"evaluation-{split}.json"

    def predictions(self, split: str) -> Path:
        """Its predictions of a split, while they are measured by the truth."""
        return self.path / f"predictions-{split}.parquet"

    def against_truth(self, split: str) -> Path:
        """Its figures by the truth on a split."""
        return self.path / f"truth-{split}.json"

    def remove_run(self) -> None:
        """Remove the run, and leave what was measured. Harmless if there is none."""
        shutil.rmtree(self.run, ignore_errors=True)


def read_json(path: Path) -> Mapping[str, Any] | None:
    """Return what a file holds; None if it is not there."""
    try:
        found: Mapping[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return found


@contextmanager
def locked_comparison(path: Path) -> Iterator[CompareFolder]:
    """Open the folder of a comparison for one ``esmm compare``, and make it if it is missing.

    Raises:
        ConfigError: another process works on it, or it holds something else
    """
    with locked_folder(path, marker=SETTINGS_NAME, what="a comparison", command="esmm compare", setting="out"):
        yield CompareFolder(path=path)
