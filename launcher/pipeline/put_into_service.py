"""From a passed gate to the model in service: pin, export, publish, remove what is old.

Killed at any point and called again, it ends the same: the version is noted before anything is written under its
number, ``current.json`` comes when the version is whole, and the state says that it is published when all is done.
"""

from typing import Any

from esmm_dist.served_model.version_folders import put_version
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.uris import without_credentials
from launcher.pipeline.day import DayWork
from launcher.pipeline.keys import key_of
from launcher.pipeline.publish import (
    checksum_of,
    files_of,
    is_published,
    next_version,
    remove_old,
    write_current,
)
from launcher.pipeline.state import StepState, VersionState


def put_into_service(work: DayWork, publish: Folder) -> None:
    """Publish the day's model, unless it is published and unchanged."""
    day, state, runner = work.of_day, work.state, work.runner
    checkpoint = int(day.steps["train"].result["step"])
    metrics = day.steps["evaluate"].result
    key = key_of(step=checkpoint, calibrate=work.config.calibrate)
    exported = day.steps.get("export")
    if exported is not None and exported.key == key and day.published:
        [version] = [each for each in state.versions if each.version == day.version]
        if is_published(publish, version):
            runner.show(work.lines.export(checkpoint))
            runner.progress.message(f"  skipped: version {version.version} is this model")
            _clean(work, publish)
            return
        day.published = False  # somebody has removed it: it is published again under its number
    elif day.published:
        day.version, day.published = None, False
    _pin(work, checkpoint)
    if exported is None or exported.key != key or not work.places.model(work.day).is_dir():
        work.remove_model()
        runner.run(work.lines.export(checkpoint))
        day.steps["export"] = StepState(
            key=key, result={"checksum": checksum_of(files_of(work.places.model(work.day)))}
        )
    if day.version is None:
        day.version = next_version(publish, state.versions)
    work.save()
    _publish(work, publish, metrics)
    _clean(work, publish)


def _publish(work: DayWork, publish: Folder, metrics: dict[str, Any]) -> None:
    day, model = work.of_day, work.places.model(work.day)
    assert day.version is not None
    files = files_of(model)
    version = VersionState(
        version=day.version,
        day=str(work.day),
        step=int(day.steps["train"].result["step"]),
        metrics=metrics,
        checksum=checksum_of(files),
    )
    about = {"run": without_credentials(Folder.open(work.places.run).location), "data_set": day.begun}
    if not is_published(publish, version):
        put_version(model, publish, str(version.version), work.runner.progress)
        write_current(publish, version, files, about)
    work.state.versions = (*(each for each in work.state.versions if each.version != version.version), version)
    day.published = True
    work.save()
    work.runner.progress.message(f"Version {version.version} is in service: {publish}/{version.version}")


def _pin(work: DayWork, checkpoint: int) -> None:
    if checkpoint not in work.state.pinned:
        work.state.pinned = (*work.state.pinned, checkpoint)
        work.save()
    work.runner.run(work.lines.pin(checkpoint))


def _clean(work: DayWork, publish: Folder) -> None:
    """Remove what the model in service has replaced: old versions, pins, the exported model."""
    state = work.state
    work.remove_model()
    for removed in remove_old(publish, state.versions, work.config.keep_versions):
        work.runner.progress.message(f"Version {removed} is removed: keep_versions is {work.config.keep_versions}.")
    in_service = state.in_service
    for step in state.pinned:
        if in_service is None or step != in_service.step:
            work.runner.run(work.lines.unpin(step))
            state.pinned = tuple(each for each in state.pinned if each != step)
            work.save()
