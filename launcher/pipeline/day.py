"""The steps of one day, each skipped while what it depends on is the same."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from esmm_dist.errors import ConfigError
from esmm_dist.schema.data_set_id import data_set_id
from esmm_dist.schema.manifest import MANIFEST_NAME, DatasetManifest, read_manifest
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.uris import without_credentials
from launcher.pipeline.config import PipelineConfig
from launcher.pipeline.gate import judge
from launcher.pipeline.keys import key_of, log_listing, metrics_of, schema_text
from launcher.pipeline.lines import DayLines
from launcher.pipeline.places import Places
from launcher.pipeline.run_data_sets import has_learned, progressive_metrics
from launcher.pipeline.state import DayState, PipelineState, StepState, VersionState
from launcher.pipeline.step_runner import StepRunner
from launcher.steps.step import Step

SKIPPED = "  skipped: what it depends on has not changed"


@dataclass(kw_only=True)
class DayWork:
    """Does the steps of a day up to the gate."""

    config: PipelineConfig
    places: Places
    day: date
    before: date | None
    """The day before that the model has learned from."""
    state: PipelineState
    save: Callable[[], None]
    """Writes the state."""
    runner: StepRunner

    @property
    def of_day(self) -> DayState:
        """The state of the day."""
        return self.state.day(self.day)

    @property
    def lines(self) -> DayLines:
        """The lines of the day."""
        return DayLines(config=self.config, places=self.places, day=self.day, before=self.before)

    def run(self) -> bool:
        """Do what is to do, and return whether the gate lets the day's model through."""
        self._preprocess()
        step = self._train()
        return self._gate(step)

    def done(self, name: str, key: str, step: Step, work: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Return the result of a step: that of an earlier start if the key is the same, else do it and note it."""
        before = self.of_day.steps.get(name)
        if before is not None and before.key == key:
            self.runner.show(step)
            self.runner.progress.message(SKIPPED)
            return before.result
        result = dict(work())
        self.of_day.steps[name] = StepState(key=key, result=result)
        self.save()
        return result

    def _preprocess(self) -> None:
        """Make the data set, and bring it to this machine. Once training has begun it stays as it is."""
        step = self.lines.preprocess()
        before = self.of_day.steps.get("preprocess")
        begun = self.of_day.begun
        if begun is not None and "train" not in self.of_day.steps and not has_learned(self.places.run, begun):
            self.of_day.begun = None  # the training failed before its first step: the data set may be another one
        if before is not None and self.of_day.begun is not None:
            self.runner.show(step)
            self.runner.progress.message("  skipped: the model has learned from this data set")
            return
        known = None if self.before is None else self.state.day(self.before).begun
        key = key_of(
            log=log_listing(self.config, self.day),
            settings=self.config.preprocess,
            schema=schema_text(self.config),
            like=known,
            raw=without_credentials(self.config.raw_of(self.day)),
        )
        self.done("preprocess", key, step, lambda: self._made(step))

    def _made(self, step: Step) -> dict[str, Any]:
        try:
            self.runner.run(step)
        except ConfigError as e:
            data = Folder.open(self.places.data(self.day))
            if not data.has(MANIFEST_NAME):
                raise
            self.runner.progress.message(f"  {e}")
            self.runner.progress.message("  The model has not learned from it yet, so it is made again.")
            data.delete()
            self.runner.run(step)
        manifest = self._local_manifest(fetch=True)
        split = self.config.gate.split or manifest.split_to_evaluate(None)
        if split not in manifest.splits:
            raise ConfigError(
                f"The data set of {self.day} has no {split} split to compare models on; its splits are "
                f"{', '.join(manifest.splits)}. Set preprocess: {{validation_share: 0.1}}, or gate: {{split: NAME}}."
            )
        tasks = manifest.schema.label_tree.task_names
        for task in (*self.config.gate.tasks, *self.config.gate.min_auc):
            if task not in tasks:
                raise ConfigError(
                    f"gate names the task {task}, but the labels of {self.config.preprocess['schema']} have the tasks "
                    f"{', '.join(tasks)}. Name one of them."
                )
        impressions = {name: each.impressions for name, each in manifest.splits.items()}
        return {"data_set": data_set_id(manifest), "impressions": impressions, "split": split}

    def _local_manifest(self, *, fetch: bool = False) -> DatasetManifest:
        """Return the manifest of the day's data set on this machine, to which it is copied if it is not there."""
        local = self.places.local_data(self.day)
        if self.places.copies_data and (fetch or not (local / MANIFEST_NAME).is_file()):
            self.runner.run(self.lines.copy())
        return read_manifest(local)

    def _train(self) -> int:
        """Train on the day; return the step of the checkpoint to publish."""
        data_set = self.of_day.steps["preprocess"].result["data_set"]
        step = self.lines.train()
        done = self.of_day.steps.get("train")
        if done is not None:  # it cannot be undone: other settings are those of the next day
            self.runner.show(step)
            self.runner.progress.message("  skipped: the model has learned from this data set")
            return int(done.result["step"])

        def work() -> dict[str, Any]:
            self._local_manifest()
            self.of_day.begun = data_set
            self.save()
            found = self.runner.run(step)
            best = found.get("best")
            return {
                "step": best["step"] if best else found["step"],
                "progressive": progressive_metrics(self.places.run, data_set),
            }

        return int(self.done("train", key_of(data_set=data_set), step, work)["step"])

    def _gate(self, checkpoint: int) -> bool:
        """Measure the day's model and the one in service, and decide."""
        made = self.of_day.steps["preprocess"].result
        split = self.config.gate.split or made["split"]
        against = self.against
        on = {"data_set": made["data_set"], "split": split, "calibrate": self.config.calibrate}
        candidate = self._measured("evaluate", self.lines.evaluate(checkpoint, split), {"step": checkpoint, **on})
        in_service = None
        if against is not None:
            line = self.lines.evaluate(against.step, split, in_service=True)
            in_service = self._measured("compare", line, {"step": against.step, **on})
        if self.of_day.version is not None:
            self.runner.progress.message(
                f"Gate of {self.day}: passed before; its model is version {self.of_day.version}."
            )
            return True
        own_day = None if against is None else against.metrics
        key = key_of(gate=self.config.gate, candidate=candidate, in_service=in_service, own_day=own_day)
        verdict = judge(self.config.gate, candidate, in_service, own_day)
        self.of_day.steps["gate"] = StepState(
            key=key, result={"passed": verdict.passed, "reasons": verdict.reasons, "notes": verdict.notes}
        )
        self.save()
        self._tell(verdict.passed, verdict.reasons, verdict.notes, against)
        return verdict.passed

    @property
    def against(self) -> VersionState | None:
        """The model in service before the day's own was published."""
        earlier = [each for each in self.state.versions if each.day != str(self.day)]
        return earlier[-1] if earlier else None

    def _measured(self, name: str, step: Step, inputs: Mapping[str, Any]) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            self._local_manifest()
            return metrics_of(self.runner.run(step))

        return self.done(name, key_of(**inputs), step, work)

    def _tell(
        self, passed: bool, reasons: tuple[str, ...], notes: tuple[str, ...], against: VersionState | None
    ) -> None:
        message = self.runner.progress.message
        for note in notes:
            message(f"Gate: {note}.")
        if not passed:
            for reason in reasons:
                message(f"Gate: {reason}.")
            stays = "Nothing is in service." if against is None else f"Version {against.version} stays in service."
            message(f"Gate of {self.day}: refused. {stays}")
        elif against is None:
            message(f"Gate of {self.day}: passed; there is no model in service to be compared with.")
        else:
            message(f"Gate of {self.day}: passed; no worse than version {against.version}.")

    def remove_model(self) -> None:
        """Remove the exported model, which is published or outdated."""
        shutil.rmtree(self.places.model(self.day), ignore_errors=True)
