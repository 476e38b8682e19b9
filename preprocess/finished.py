"""What to do about a data set that is there already: leave it, make it again, or refuse."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from esmm_dist.errors import ConfigError
from esmm_dist.progress import Progress
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.file_problem import file_problem
from esmm_dist.schema.manifest import MANIFEST_NAME, DamagedManifestError, DatasetManifest, read_manifest
from esmm_dist.storage.uris import FILES_ELSEWHERE
from preprocess.config import PreprocessConfig
from preprocess.identity import check_same
from preprocess.read.raw_files import RawFile, write_times
from preprocess.work.folder import WORK_NAME, close_workspace


def find_finished(
    config: PreprocessConfig,
    schema: Schema,
    settings: Mapping[str, Any],
    raw: Mapping[str, RawFile],
    progress: Progress,
) -> DatasetManifest | None:
    """Return the manifest of a data set that needs no work; None if there is none, or it is damaged.

    Args:
        config: settings of this run
        schema: schema of this run
        settings: settings that decide the bytes
        raw: the raw files
        progress: receives what is found

    Raises:
        ConfigError: There is a data set of other settings or logs.
        InputDataError: There is one of another version, or another file has the manifest's name.
    """
    out = config.out
    if not (out / MANIFEST_NAME).is_file():
        return None
    try:
        manifest = read_manifest(out)
    except DamagedManifestError:
        progress.message(f"{out / MANIFEST_NAME} is damaged; making the data set again.")
        return None
    check_same(out, manifest, settings, schema, raw, progress)
    problems = list(_problems(config, manifest, progress))
    if problems:
        more = f" (and {len(problems) - 1} other files)" if len(problems) > 1 else ""
        progress.message(f"{problems[0]}{more}. Making the data set again; intact files stay until it is complete.")
        return None
    if (out / WORK_NAME).is_dir():  # left by a kill just after the manifest
        close_workspace(out / WORK_NAME)
    if not (out / FILES_ELSEWHERE).exists():
        with suppress(OSError):  # of a read-only data set: next time the content is compared again
            write_times(out, raw)
    checked = "and its bytes are as they were written" if config.verify else "and its files are complete"
    progress.message(f"{out} already holds this data set, {checked}; nothing to do.")
    return manifest


def _problems(config: PreprocessConfig, manifest: DatasetManifest, progress: Progress) -> Iterator[str]:
    """Say of each file that is missing or damaged what is wrong with it."""
    if (config.out / FILES_ELSEWHERE).exists():
        if config.verify:
            raise ConfigError(
                "verify reads the files of the data set, which are in an object store. Copy them first: "
                "esmm copy DATA FOLDER, then give FOLDER for out."
            )
        return
    files = list(manifest.files())
    if config.verify:
        progress.start("verify", float(sum(file.file_bytes for file in files)), "B")
    for file in files:
        problem = file_problem(config.out, file, compare_bytes=config.verify)
        if problem is not None:
            yield f"{config.out / file.path} {problem}"
        if config.verify:
            progress.advance(float(file.file_bytes))
    progress.finish()
