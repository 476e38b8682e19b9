"""``esmm predict --raw``: score a raw log without labels."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google_crc32c

from esmm_dist.checkpoint.format import MANIFEST_NAME
from esmm_dist.errors import ConfigError, InputDataError
from esmm_dist.inference.predict import PredictConfig
from esmm_dist.inference.table_format import is_named_as_table
from esmm_dist.process.quiet import import_tensorflow
from esmm_dist.process.system_refusal import refusals_named
from esmm_dist.progress import NoProgress, Progress
from esmm_dist.ranks.open_world import open_world
from esmm_dist.ranks.world import World
from esmm_dist.raw_scoring.prepared_log import score_prepared
from esmm_dist.raw_scoring.raw_files import uris_named
from esmm_dist.raw_scoring.raw_log import RawLog, open_log, out_place
from esmm_dist.raw_scoring.raw_result import REJECTS_ENDING, RawResult, reasons_shown
from esmm_dist.raw_scoring.scored_folder import REJECTS_NAMES, ScoredFolder
from esmm_dist.storage.folder import Folder

if TYPE_CHECKING:
    from esmm_dist.inference.trained_model import TrainedModel
    from esmm_dist.raw_scoring.part_scoring import PartScorer, ScoredPart


def score_raw(config: PredictConfig, progress: Progress) -> RawResult:
    """Score the rows of a raw log in the order of the log, alone or as one of Horovod's ranks.

    Each row has a score or is a counted reject. A file of scores has a row for each one: ``sample_id`` (int64: the
    number of the row, from 1 on, or what the schema's column says; string where texts name the rows), the columns of
    ``keep``, and the probabilities as float32. Ranks share the parts of a folder; a file is written by one process.

    Raises:
        EsmmError: The run or the log is missing, damaged, or does not fit the other; or the output cannot be written.
        WorkerLostError: Another rank has ended.
    """
    start = time.monotonic()
    out = out_place(config)
    import_tensorflow()  # here, so that reading settings and help does not wait for it
    checkpoint = config.checkpoint.restore(NoProgress(), lambda checkpoint: None)
    world = open_world(config.store.token_file)
    _check_out(out, world)
    if checkpoint.manifest.schema.flat_source is None:
        _check_alone(config, world)
        return score_prepared(config, checkpoint, out, progress)
    from esmm_dist.inference.trained_model import open_model

    progress = progress if world.rank == 0 else NoProgress()
    opened = open_model(config.checkpoint, progress, connection=config.store, world=world, calibrate=config.calibrate)
    with opened as model, refusals_named(config.out), uris_named():
        log = open_log(config, model.scorer.schema, world, progress)
        if not log.rows:
            progress.message(f"Warning: {config.raw} holds no rows, so nothing is scored. Check what wrote the log.")
        files = "1 file" if len(log.files) == 1 else f"{len(log.files):,} files"
        progress.message(f"Scoring {log.rows:,} rows of {files}.")
        if is_named_as_table(Path(out.name)):
            scored = _score_to_file(model, log, out, progress)
        else:
            scored = _score_to_folder(config, model, log, ScoredFolder(folder=out), world, progress)
    if scored.rejected and not scored.rows:
        reasons = reasons_shown(scored.rejected, scored.first)
        raise InputDataError(
            f"None of {sum(scored.rejected.values()):,} rows can be scored: {reasons}. "
            f"They are listed in {scored.rejects_path}. Correct the log, or give its schema (--schema)."
        )
    return RawResult(
        path=str(out),
        rows=scored.rows,
        rejected=scored.rejected,
        first_rejects=scored.first,
        rejects_path=scored.rejects_path,
        parts=scored.parts,
        kept_parts=scored.kept_parts,
        step=model.step,
        seconds=time.monotonic() - start,
        scored_now=scored.now,
    )


def _check_out(out: Folder, world: World) -> None:
    """Check, before the model is loaded, that the output can be written as it is asked for."""
    if not is_named_as_table(Path(out.name)):
        if out.is_local and out.local_path.is_file():
            raise ConfigError(
                f"out is {out}, a file whose name has no known ending. Give a folder, or a .parquet file."
            )
        return
    if out.is_local and out.local_path.is_dir():
        raise ConfigError(f"out is {out}, a folder whose name ends as a file's. Give it a name without an ending.")
    if out.parent is None:
        raise ConfigError(f"out is {out}. Give the URI of a file in it.")
    if world.size > 1:
        raise ConfigError(
            f"out is {out}, one file, and {world.size} ranks share the parts of a folder. Give a folder: a name "
            "without an ending, such as scores."
        )


def _check_alone(config: PredictConfig, world: World) -> None:
    """Check that one process alone prepares a log."""
    if world.size > 1:
        raise ConfigError(
            f"raw is {config.raw}, a log of the Ali-CCP form, which is made a data set first, and {world.size} ranks "
            f"would each make one. Score it with one process; or make it once (esmm preprocess RAW DATA --vocabulary "
            "RUN), and give --data DATA."
        )


@dataclass(frozen=True, kw_only=True)
class _Scored:
    """What became of the rows, over all ranks."""

    rows: int
    rejected: Mapping[str, int]
    first: Mapping[str, str]
    rejects_path: str
    parts: int = 1
    kept_parts: int = 0
    now: int


def _score_to_file(model: "TrainedModel", log: RawLog, out: Folder, progress: Progress) -> _Scored:
    from esmm_dist.raw_scoring.part_scoring import PartFiles
    from esmm_dist.raw_scoring.raw_index import RawPart

    folder = out.parent
    assert folder is not None  # _check_out
    folder.make()
    whole = RawPart(0, 1, log.rows, tuple(chunk for part in log.parts for chunk in part.chunks))
    files = PartFiles(folder=folder, scores=out.name, rejects=f"{out.name}{REJECTS_ENDING}")
    progress.start("Scoring", log.rows, "rows")
    try:
        found = _scorer(model, log).score(whole, files, progress)
    finally:
        progress.finish()
    return _Scored(
        rows=found.rows,
        rejected=dict(sorted(found.rejected.items())),
        first=found.first,
        rejects_path=f"{out}{REJECTS_ENDING}",
        now=log.rows,
    )


def _score_to_folder(
    config: PredictConfig, model: "TrainedModel", log: RawLog, out: ScoredFolder, world: World, progress: Progress
) -> _Scored:
    assert model.checkpoint is not None  # it was opened
    manifest = model.checkpoint.folder.read_bytes(MANIFEST_NAME)
    what = {
        "step": model.step,
        "model": google_crc32c.value(manifest),
        "calibrate": config.calibrate,
        **log.identity(),
    }
    world.on_root(lambda: out.begin(what))
    own = log.parts[world.rank :: world.size]
    done = {part.number: out.done(part) for part in own}
    rows_done = sum(part.rows for part in own if done[part.number] is not None)
    total = sum(part.rows for part in own)
    scorer = _scorer(model, log)
    progress.start("Scoring", total, "rows", rows_done)
    found: dict[int, ScoredPart] = {}
    try:
        for part in own:
            before = done[part.number]
            found[part.number] = scorer.score(part, out.files(part), progress) if before is None else before
    finally:
        progress.finish()
    kept = sum(each is not None for each in done.values())
    scored = _together(world, found, kept, total - rows_done)
    world.on_root(lambda: out.finish(what, len(log.parts), scored.rows, scored.rejected))
    return replace(scored, rejects_path=f"{out.folder}/{REJECTS_NAMES}", parts=len(log.parts))


def _scorer(model: "TrainedModel", log: RawLog) -> "PartScorer":
    from esmm_dist.raw_scoring.part_scoring import PartScorer

    return PartScorer(model=model, reader=log.reader, columns=log.columns, types=log.types)


def _together(world: World, found: Mapping[int, "ScoredPart"], kept: int, now: int) -> _Scored:
    """Add up what all ranks have found; a collective."""
    own = {
        "parts": [[number, part.rows, dict(part.rejected), part.first] for number, part in found.items()],
        "kept": kept,
        "now": now,
    }
    ranks: list[Any] = world.gather_values(own)
    rows, rejected, first = 0, Counter[str](), dict[str, str]()
    for _, of_part, reasons, places in sorted(part for rank in ranks for part in rank["parts"]):
        rows += of_part
        rejected.update(reasons)
        first = {**places, **first}
    return _Scored(
        rows=rows,
        rejected=dict(sorted(rejected.items())),
        first=first,
        rejects_path="",
        kept_parts=sum(rank["kept"] for rank in ranks),
        now=sum(rank["now"] for rank in ranks),
    )
