"""Score a raw log whose impressions stand in several files that are joined: by way of a data set beside the output.

The data set has the model's schema and keeps exactly the ids that have a row in the checkpoint, as ``esmm preprocess
--vocabulary RUN`` makes it of a log without a train split. It is made in bounded memory, continues where a killed
scoring was, and is removed once the scores are there.
"""

import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from esmm_dist.checkpoint.reader import Checkpoint
from esmm_dist.errors import ConfigError, InputDataError
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.inference.row_ids import ids_of_rows
from esmm_dist.inference.table_format import is_named_as_table
from esmm_dist.progress import Progress
from esmm_dist.raw_scoring.raw_result import REJECTS_ENDING, RawResult
from esmm_dist.raw_scoring.scored_folder import REJECTS_OF_PART
from esmm_dist.raw_scoring.scored_output import whole_output
from esmm_dist.schema.manifest import DatasetManifest
from esmm_dist.storage.copy import CopyOptions, copy_tree
from esmm_dist.storage.folder import Folder
from preprocess.config import PreprocessConfig
from preprocess.join.known_ids import KNOWN_IDS_NAME, write_known_ids
from preprocess.run import preprocess

_SPLIT = "test"
"""Split that the log becomes: a train split would add its own frequent ids to those of the model."""
_FILES = re.compile(r"(sample_skeleton|common_features)_(?P<split>[a-z]+)(\.csv(?:\.gz)?)")


def score_prepared(config: PredictConfig, checkpoint: Checkpoint, out: Folder, progress: Progress) -> RawResult:
    """Prepare a log of the Ali-CCP form and score it; impressions come in the order of the data set.

    Args:
        config: settings; ``raw`` is a folder
        checkpoint: the model's checkpoint
        out: file of scores, or a folder that gets one part
        progress: receives progress

    Raises:
        ConfigError: ``schema`` is given.
        EsmmError: The log cannot be read, or the output not written.
    """
    start = time.monotonic()
    if config.schema is not None:
        raise ConfigError(
            f"schema is {config.schema}, and a log of the Ali-CCP form is read by the run's own. Leave it out."
        )
    is_file = is_named_as_table(Path(out.name))
    folder = out.parent if is_file else out
    assert folder is not None  # a file is in a folder: checked before
    name, rejects = (out.name, f"{out.name}{REJECTS_ENDING}") if is_file else ("part-00000.parquet", REJECTS_OF_PART)
    with _work_folder(out) as work:
        report = _prepared(config, checkpoint, work, progress).report["splits"][_SPLIT]
        of_set = replace(
            config, step=checkpoint.manifest.step, data=work / "data", raw=None, split=_SPLIT, out=work / name
        )
        found = predict(of_set, progress)
        folder.make()
        listed = work / "data" / "rejects" / f"{_SPLIT}.jsonl"
        for source, target in ((listed, rejects), (work / name, name)):
            if source.is_file() and source.stat().st_size:
                with whole_output(folder, target) as path:
                    shutil.copyfile(source, path)
    rejected, first = Counter[str](), dict[str, str]()
    for kind in ("skeleton", "common"):
        rejected.update(report[kind]["rejected"])
        first = {**report[kind]["first_rejected"], **first}
    return RawResult(
        path=str(out),
        rows=found.impressions,
        rejected=dict(sorted(rejected.items())),
        first_rejects=first,
        rejects_path=f"{folder}/{rejects}",
        parts=1,
        kept_parts=0,
        step=found.step,
        seconds=time.monotonic() - start,
        scored_now=found.impressions,
    )


@contextmanager
def _work_folder(out: Folder) -> Iterator[Path]:
    """Yield the folder of the data set, which stays if the block fails; of an output in a store it does not."""
    if not out.is_local:
        with tempfile.TemporaryDirectory(prefix="esmm-scored-") as scratch:
            yield Path(scratch)
        return
    work = out.local_path.with_name(f".{out.name}.data")
    work.mkdir(parents=True, exist_ok=True)
    yield work
    shutil.rmtree(work)


def _prepared(config: PredictConfig, checkpoint: Checkpoint, work: Path, progress: Progress) -> DatasetManifest:
    """Make the data set of a log with the ids of a checkpoint, or go on with it."""
    known = work / f"step-{checkpoint.manifest.step}"
    known.mkdir(exist_ok=True)
    write_known_ids(known / KNOWN_IDS_NAME, ids_of_rows(checkpoint))
    schema = work / "schema.yaml"
    schema.write_text(checkpoint.manifest.schema.to_yaml(), encoding="utf-8")
    settings = PreprocessConfig(
        raw=_linked(config, work, progress),
        out=work / "data",
        schema=str(schema),
        vocabulary=str(known),
        max_reject_share=1.0,  # every line is a score or a counted reject
    )
    return preprocess(settings, progress)


def _linked(config: PredictConfig, work: Path, progress: Progress) -> Path:
    """Return a folder with links to the files of the wanted split of a log, by the names of a test split.

    Raises:
        InputDataError: The log has none.
    """
    assert config.raw is not None
    raw = Folder.open(config.raw)
    if not raw.is_local:
        copy = Folder.open(work / "copy")
        copy_tree(raw, copy, progress, task=f"copy {raw}", options=CopyOptions(exact=True))
        raw = copy
    links = work / "raw"
    shutil.rmtree(links, ignore_errors=True)
    links.mkdir()
    for name in raw.names():
        found = _FILES.fullmatch(name)
        if found is not None and found["split"] == config.split:
            (links / f"{found[1]}_{_SPLIT}{found[3]}").symlink_to((raw.local_path / name).absolute())
        elif name == f"sample_{_SPLIT}.tar.gz" and config.split == _SPLIT:
            (links / name).symlink_to((raw.local_path / name).absolute())
    if not any(links.iterdir()):
        raise InputDataError(
            f"{config.raw} holds neither sample_skeleton_{config.split}.csv (or .csv.gz) with common_features_"
            f"{config.split}.csv, nor sample_test.tar.gz. Give the folder of such a log, or its split (--split train)."
        )
    return links
