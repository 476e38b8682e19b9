"""The lines of a day, as a user types them. Pure functions."""

from dataclasses import dataclass
from datetime import date

from launcher.pipeline.config import PipelineConfig
from launcher.pipeline.places import Places
from launcher.steps.step import Step


@dataclass(frozen=True, kw_only=True)
class DayLines:
    """Makes the steps of a day."""

    config: PipelineConfig
    places: Places
    day: date
    before: date | None
    """The day before that the model has learned from; None: this is the first one."""

    def preprocess(self) -> Step:
        """Return the step that makes the data set."""
        config, places = self.config, self.places
        begin = ["preprocess", config.raw_of(self.day), places.data(self.day), "--config", str(places.preprocess_file)]
        if self.before is None:
            known = ["--schema", str(config.preprocess["schema"])]
        else:
            known = ["--like", places.data(self.before)]
        days = [] if config.has_a_folder_per_day else ["--days", str(self.day)]
        return Step(name="preprocess", args=[*begin, *known, *days], why=f"The data set of {self.day}.")

    def copy(self) -> Step:
        """Return the step that brings the data set to this machine."""
        places = self.places
        return Step(
            name="copy",
            args=["copy", places.data(self.day), str(places.local_data(self.day))],
            why="Training reads files.",
        )

    def train(self) -> Step:
        """Return the step that trains."""
        places, train = self.places, self.config.train
        settings = ["--config", str(places.train_file), "--data", str(places.local_data(self.day)), "--run", places.run]
        more = ["--continue", "--eval-first"]
        why = "Train a first model." if self.before is None else "Test the model on the day, then train on with it."
        if not train.is_local_command:
            return Step(name="train", args=["train", *settings, *more], why=why)
        local = ["local", "--workers", str(train.workers), "--servers", str(train.servers)]
        local += [] if train.min_workers is None else ["--min-workers", str(train.min_workers)]
        return Step(name="train", args=[*local, "--", *settings, *more], why=why)

    def evaluate(self, step: int, split: str, *, in_service: bool = False) -> Step:
        """Return the step that measures a checkpoint on the day.

        Args:
            step: step of the checkpoint
            split: split of the data set
            in_service: whether it is the model in service, and not the new one
        """
        args = ["evaluate", "--run", self.places.run, "--step", str(step), "--data"]
        args += [str(self.places.local_data(self.day)), "--split", split, "--no-baseline", *self._calibrate()]
        if in_service:
            return Step(name="compare", args=args, why="Measure the model in service on the same impressions.")
        return Step(name="evaluate", args=args, why="Measure the new model.")

    def export(self, step: int) -> Step:
        """Return the step that writes the model to publish."""
        args = ["export", "--run", self.places.run, "--step", str(step), "--out", str(self.places.model(self.day))]
        return Step(name="export", args=[*args, *self._calibrate()], why="The model as servers load it.")

    def pin(self, step: int) -> Step:
        """Return the step that keeps a checkpoint while it is in service."""
        args = ["checkpoints", self.places.run, "--pin", str(step)]
        return Step(name="pin", args=args, why="It is compared with tomorrow: keep it.")

    def unpin(self, step: int) -> Step:
        """Return the step that lets a checkpoint go."""
        args = ["checkpoints", self.places.run, "--unpin", str(step)]
        return Step(name="unpin", args=args, why="It is no longer in service.")

    def _calibrate(self) -> list[str]:
        return [] if self.config.calibrate else ["--no-calibrate"]
