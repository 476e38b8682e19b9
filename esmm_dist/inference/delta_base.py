"""The version of a served model that a delta is made from: which one is meant, and whether it fits the run."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esmm_dist.errors import ConfigError
from esmm_dist.served_model.manifest import SERVED_FOLDER, ServedManifest, read_served_manifest
from esmm_dist.served_model.mapped_model import MappedModel
from esmm_dist.served_model.version_folders import DELTA_SUFFIX
from esmm_dist.served_model.versions import ServedVersion, chain_of, versions_in
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.uris import without_credentials

_OUT = re.compile(rf"[0-9]{{1,18}}{re.escape(DELTA_SUFFIX)}")
_STEP = "step:"


@dataclass(frozen=True, kw_only=True)
class DeltaBase:
    """A version on this machine, and those that it builds on."""

    name: str
    """Name of the version: ``3`` or ``4.delta``."""
    folders: tuple[Path, ...]
    """Folder of a full version, then those of its deltas; the last is the version's."""
    manifest: ServedManifest
    """What the version itself says."""

    @classmethod
    def of(cls, models: Folder, name: str) -> "DeltaBase":
        """Return a version in a local folder, with those that it builds on.

        Raises:
            ServedModelError: It is not there, or one that it builds on is not.
        """
        folders = tuple((models / each).local_path for each in chain_of(models, name))
        return cls(name=name, folders=folders, manifest=read_served_manifest(Folder.open(folders[-1] / SERVED_FOLDER)))

    def mapped(self) -> MappedModel:
        """Map its rows, and compare all checksums.

        Raises:
            ServedModelError: A file is missing or damaged.
        """
        return MappedModel.open(self.folders)

    def check_run(self, run: str) -> None:
        """Check that it was made of a run.

        Args:
            run: path or URI of the run

        Raises:
            ConfigError: It is another one.
        """
        place = place_of_run(run)
        if self.manifest.run != place:
            raise ConfigError(
                f"Version {self.name} was made of the run {self.manifest.run}, and run is {place}. A delta holds what "
                "has changed within one run: export a full version, without --delta-since."
            )

    def check_out(self, out: Path) -> None:
        """Check that a delta of it has a larger number.

        Raises:
            ConfigError: It has not: ``esmm serve`` would go on with the base.
        """
        number = int(self.name.removesuffix(DELTA_SUFFIX))
        if int(out.name.removesuffix(DELTA_SUFFIX)) <= number:
            raise ConfigError(
                f"out is {out}, and version {self.name}, which the delta is made from, has no smaller number: esmm "
                f"serve takes the largest. Give a larger one, such as {out.with_name(f'{number + 1}{DELTA_SUFFIX}')}."
            )

    def full_bytes(self) -> int:
        """Return the bytes of the tables and towers of the full version below it."""
        full = read_served_manifest(Folder.open(self.folders[0] / SERVED_FOLDER))
        return sum(file.file_bytes for file in full.files())


def place_of_run(run: str) -> str:
    """Return a run as manifests name it: without credentials, and an absolute path on a disk."""
    return str(without_credentials(Folder.open(run).location))


def check_delta_out(out: Path) -> None:
    """Check the name of a delta's folder.

    Raises:
        ConfigError: TensorFlow Serving would take it for a model, or ``esmm serve`` for none.
    """
    if _OUT.fullmatch(out.name) is None:
        number = out.name if _OUT.fullmatch(out.name + DELTA_SUFFIX) else 2
        raise ConfigError(
            f"out is {out}, and a delta's folder has a number and ends in {DELTA_SUFFIX}, such as "
            f"{out.with_name(f'{number}{DELTA_SUFFIX}')}: TensorFlow Serving would load a number alone as a whole "
            "model."
        )


def find_base(models: Folder, since: str) -> str:
    """Return the name of the version that ``--delta-since`` means.

    A number is that of a version if there is one, else the step of the checkpoint that a version was made of;
    ``step:1200`` is a step alone.

    Args:
        models: folder of the versions
        since: version or step, as typed

    Raises:
        ConfigError: There is no such version, or several that differ were made of the step.
        StorageError: The storage refuses.
    """
    versions = versions_in(models)
    text = since.strip()
    found = [] if text.startswith(_STEP) else _by_name(versions, text)
    if found:
        return found[-1].name
    digits = text.removeprefix(_STEP)
    of_step = [each for each in versions if digits.isascii() and digits.isdigit() and each.step == int(digits)]
    if len({each.model_id for each in of_step}) > 1:
        names = ", ".join(each.name for each in of_step)
        raise ConfigError(
            f"delta_since is {since}, and several versions in {models} were made of step {digits}: {names}. Name one "
            "of them."
        )
    if not of_step:
        there = ", ".join(f"{each.name} (step {each.step})" for each in versions)
        raise ConfigError(
            f"delta_since is {since}, and {models} holds no version of this name or step. "
            + (f"It holds: {there}." if there else "It holds none: export a full version first, without --delta-since.")
        )
    return of_step[-1].name


def _by_name(versions: Sequence[ServedVersion], text: str) -> list[ServedVersion]:
    """Return the versions of a name; of a number the full one comes last."""
    exact = [each for each in versions if each.name == text]
    return exact or [each for each in versions if text.isascii() and text.isdigit() and each.number == int(text)]


def settings_of_base(base: DeltaBase, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of an export that decide what a version holds: those of the base.

    Args:
        base: the base
        given: settings that were given, by name

    Raises:
        ConfigError: One of them contradicts the base.
    """
    settings = dict(base.manifest.settings)
    for name, value in given.items():
        if value != settings.get(name):
            raise ConfigError(
                f"{name} is {value}, and version {base.name}, which the delta is made from, was exported with "
                f"{settings.get(name)}. Leave {name} out, or export a full version, without --delta-since."
            )
    return settings
