"""Make a checkpoint of a run a version of its served model: export, put in place, remove what is old.

::

    MODELS/4.delta/         a version, whole from the moment that it is there
    MODELS/.publish/        what is being written; on a disk versions come out of it by a rename
    MODELS/.publish.lock    held by the process that publishes; on a disk

In an object store the files of a version appear one by one and ``served/manifest.json``, without which it does not
exist, last. What a killed publishing has left is replaced or removed by the next one.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from esmm_dist.errors import ConfigError, ServedModelError
from esmm_dist.inference.delta_base import DeltaBase, place_of_run
from esmm_dist.inference.export import ExportConfig, ExportResult, config_like, export
from esmm_dist.inference.old_versions import end_killed_copy, remove_old
from esmm_dist.progress import Progress
from esmm_dist.served_model.manifest import MANIFEST_NAME, SERVED_FOLDER, ServedManifest, read_served_manifest
from esmm_dist.served_model.version_folders import DELTA_SUFFIX, MODEL_FILE, is_version_name, move_version, put_version
from esmm_dist.served_model.versions import CURRENT_NAME, ServedVersion, chain_of, versions_in
from esmm_dist.storage.copy import copy_tree
from esmm_dist.storage.folder import Folder

_STAGING = ".publish"
_COPIES = "copies"
_LOCK = ".publish.lock"


@dataclass(frozen=True, kw_only=True)
class PublishOrder:
    """What is published, and where."""

    run: str
    """Path or URI of the run."""
    step: int
    """Step of the checkpoint."""
    models: str
    """Path or URI of the folder of versions."""
    work: str
    """Folder of this machine for what goes to a store and comes from there; may be empty each time."""
    full_every: int
    """Every so many versions one is full."""
    keep: int
    """Newest versions to keep."""


@dataclass(frozen=True, kw_only=True)
class PublishedVersion:
    """A version that is in place."""

    version: str
    """Its name: ``3``, or ``4.delta``."""
    step: int
    is_new: bool
    """False: the newest version was this model already, and nothing was written."""
    rows: int
    """Rows that it holds; of a delta those that are changed or new."""
    removed_rows: int
    """Ids that have no row any more, in a delta."""
    version_bytes: int
    seconds: float

    def in_words(self) -> str:
        """Return a line about it."""
        if not self.is_new:
            return f"Version {self.version} is the model at step {self.step:,} already."
        rows = f"{self.rows:,} rows"
        if self.version.endswith(DELTA_SUFFIX):
            rows = f"{self.rows:,} changed rows, {self.removed_rows:,} removed"
        return (
            f"Published version {self.version}, the model at step {self.step:,}: {rows}, "
            f"{self.version_bytes / 1e6:,.1f} MB, {self.seconds:.1f} s"
        )


def publish_version(order: PublishOrder, progress: Progress) -> PublishedVersion:
    """Publish a checkpoint; blocks until the version is in place and old ones are gone.

    The first version of a run is full; later ones are deltas of the version before, up to the next full one. Killed at
    any point and called again, it ends the same.

    Raises:
        ConfigError: The folder is that of a pipeline, or another process publishes there.
        EsmmError: Whatever reading the checkpoint or writing the version raises.
    """
    begin = time.monotonic()
    models = Folder.open(order.models)
    check_models_folder(models)
    models.make()
    with _staging(models, Path(order.work)) as staging:
        versions = versions_in(models)
        newest = versions[-1] if versions else None
        end_killed_copy(models, versions, newest.number + 1 if newest is not None else 1)
        number = _next_number(models)
        last = _last_of_run(models, versions, order.run)
        base = _base(models, last, order, progress)
        result = _exported(order, staging / str(number), last, base, progress)
        out = Path(result.path)
        name = out.name
        is_new = newest is None or result.model_id != newest.model_id
        if newest is not None and not is_new:
            name = newest.name
        elif models.is_local:
            move_version(Folder.open(out), models, name)
        else:
            put_version(out, models, name, progress)
            _remember(out, Path(order.work))
        remove_old(models, place_of_run(order.run), order.keep)
    return PublishedVersion(
        version=name,
        step=order.step,
        is_new=is_new,
        rows=sum(result.rows.values()) if result.delta is None else result.delta.written,
        removed_rows=0 if result.delta is None else result.delta.removed,
        version_bytes=result.folder_bytes,
        seconds=time.monotonic() - begin,
    )


def _next_number(models: Folder) -> int:
    """Return a number larger than that of any version, and of any folder or file that only has the name of one."""
    numbers = (int(name.removesuffix(DELTA_SUFFIX)) for name in models.names() if is_version_name(name))
    return max(numbers, default=0) + 1


def check_models_folder(models: Folder) -> None:
    """Check that a training may publish to a folder.

    Raises:
        ConfigError: A pipeline publishes there: what that has put into service would stay in service.
        StorageError: The storage refuses.
    """
    if models.has(CURRENT_NAME):
        raise ConfigError(
            f"publish is {models}, whose {CURRENT_NAME} says which version is in service (esmm pipeline writes it), so "
            "that none of this training would be. Give another folder."
        )


@dataclass(frozen=True, kw_only=True)
class _LastVersion:
    """The newest version, if it is of the run."""

    name: str
    manifest: ServedManifest
    has_saved_model: bool
    """Whether full versions of the run are more than what ``esmm serve`` maps."""


def _last_of_run(models: Folder, versions: Sequence[ServedVersion], run: str) -> _LastVersion | None:
    """Return the newest version; None if there is none, or if it is of another run."""
    if not versions:
        return None
    newest = versions[-1]
    manifest = read_served_manifest(models / newest.name / SERVED_FOLDER)
    if manifest.run != place_of_run(run):
        return None
    full = [each for each in versions if not each.is_delta]
    has_saved_model = not full or (models / full[-1].name).has(MODEL_FILE)
    return _LastVersion(name=newest.name, manifest=manifest, has_saved_model=has_saved_model)


def _exported(
    order: PublishOrder, out: Path, last: _LastVersion | None, base: DeltaBase | None, progress: Progress
) -> ExportResult:
    """Export a delta of the base, or a full version if there is none or it does not fit; as the last one was."""
    config = ExportConfig(run=order.run, step=order.step, out=out)
    if base is not None:
        name = f"{out.name}{DELTA_SUFFIX}"
        try:
            return export(replace(config, out=out.with_name(name), delta_since=base.name), progress, base=base)
        except (ConfigError, ServedModelError) as e:
            progress.message(f"Warning: version {out.name} is a full one. {e}")
    if last is not None:
        config = config_like(config, last.manifest.settings)
        config = replace(config, form="whole" if last.has_saved_model else "shards")
    return export(config, progress, measures=False)


def _base(models: Folder, last: _LastVersion | None, order: PublishOrder, progress: Progress) -> DeltaBase | None:
    """Return the last version on this machine, if the next one can be a delta of it; None: it has to be full."""
    if last is None:
        return None
    try:
        chain = chain_of(models, last.name)
        if len(chain) >= order.full_every:
            return None
        if models.is_local:
            return DeltaBase.of(models, last.name)
        copies = Folder.open(Path(order.work) / _COPIES)
        _fetch(models, chain, copies, progress)
        return DeltaBase.of(copies, last.name)
    except ServedModelError as e:
        progress.message(f"Warning: the next version is a full one. {e}")
        return None


def _fetch(models: Folder, chain: Sequence[str], copies: Folder, progress: Progress) -> None:
    """Bring what the rows of a version are made of to this machine; what is there already stays."""
    for name in copies.names():
        if name not in chain:
            (copies / name).delete()
    for name in chain:
        source, target = models / name / SERVED_FOLDER, copies / name / SERVED_FOLDER
        if not target.has(MANIFEST_NAME) or target.read_bytes(MANIFEST_NAME) != source.read_bytes(MANIFEST_NAME):
            (copies / name).delete()
            copy_tree(source, target, progress, task=f"fetch version {name}")


def _remember(out: Path, work: Path) -> None:
    """Keep what was copied to a store: the next delta is made from it."""
    copies = Folder.open(work / _COPIES)
    copies.make()
    move_version(Folder.open(out), copies, out.name)


@contextmanager
def _staging(models: Folder, work: Path) -> Iterator[Path]:
    """Give a folder to write versions in, which is empty, and held by this process until the end of the block.

    Raises:
        ConfigError: Another process publishes.
    """
    with ExitStack() as stack:
        if models.is_local:
            lock = stack.enter_context((models.local_path / _LOCK).open("ab"))
            try:
                flock(lock, LOCK_EX | LOCK_NB)
            except BlockingIOError as e:
                raise ConfigError(
                    f"Another process is publishing to {models}. Give each training a folder of its own."
                ) from e
        staging = (models if models.is_local else Folder.open(work)) / _STAGING
        staging.delete()
        staging.make()
        stack.callback(staging.delete)
        yield staging.local_path
