"""Find the raw files of a schema in a folder."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from esmm_dist.errors import ConfigError, InputDataError
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.sources import SPLITS, FlatSource
from esmm_dist.storage.uris import COPYING
from preprocess.read.file_forms import Packing, packing_of
from preprocess.read.file_patterns import matching_files

FileKind = Literal["skeleton", "common", "log"]

_MOST_NAMES = 10  # of the raw folder, in messages
_TEXT_PER_PACKED: dict[Packing, int] = {"plain": 1, "gz": 6, "tar.gz": 6, "parquet": 8}
"""Bytes of text for each byte of a file, about; a wrong guess costs time, not memory."""
_ALICCP_KINDS: dict[FileKind, str] = {"skeleton": "sample_skeleton", "common": "common_features"}


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """One table of raw lines."""

    split: str
    kind: FileKind
    index: int
    """Place among the files of the same split and kind."""
    path: Path
    name: str
    """Its path relative to the raw folder, with forward slashes: ``day=1/part-0.csv``."""
    packing: Packing
    member: str = ""
    """Name of the file inside a ``.tar.gz``; empty for the others."""
    is_cut: bool = False
    """Whether the rows of the split are cut out of this file, which is one of the train split."""

    @property
    def shown_name(self) -> str:
        """Name in reports and rejects, without the raw folder."""
        return f"{self.name}:{self.member}" if self.member else self.name


def find_inputs(
    raw: Path,
    schema: Schema,
    *,
    needs_all: bool = True,
    validation_share: float = 0.0,
    by_days: Sequence[str] = (),
) -> list[InputFile]:
    """List the raw files of all splits that the folder holds.

    Args:
        raw: the folder
        schema: names the files
        needs_all: whether the train split, and each one that the schema names, must be there; False: any one of them
        validation_share: share of the train split that is cut out of it as the validation split
        by_days: splits that are cut out of the train files by days

    Raises:
        ConfigError: A validation split is to be cut out of the train split, and the log has one of its own.
        InputDataError: The folder or a file is missing, is there in two forms, or is an incomplete copy.
    """
    if not raw.is_dir():
        if raw.is_file():
            raise InputDataError(
                f"{raw} is a file. Give the folder that holds it ({raw.parent}); the schema names files."
            )
        raise InputDataError(f"{raw} is not a folder. Give the folder that holds the raw logs.")
    if (raw / COPYING).exists():
        raise InputDataError(f"{raw} is an incomplete copy. Finish it first: esmm copy SOURCE {raw}")
    source = schema.flat_source
    files = []
    for split in SPLITS:
        of_split = _flat_files(raw, source, split) if source is not None else _aliccp_files(raw, split)
        if not of_split and needs_all and _is_wanted(schema, split):
            raise _nothing_found(raw, schema, split)
        files += of_split
    if not files:
        named = [split for split in SPLITS if source is None or split in source.files]
        raise _nothing_found(raw, schema, named[0])
    _refuse_same_file(files)
    train = [file for file in files if file.split == "train"]
    if validation_share:
        _refuse_two_validations(files, validation_share)
        files += [replace(file, split="validation", is_cut=True) for file in train]
    cut = (*by_days, *(("test",) if source is not None and source.split is not None else ()))
    files += [replace(file, split=split, is_cut=True) for split in cut for file in train]
    return sorted(files, key=lambda file: SPLITS.index(file.split))


def absent_splits(files: Sequence[InputFile], schema: Schema) -> list[str]:
    """Return the splits that a log should have and has not."""
    return [split for split in SPLITS if _is_wanted(schema, split) and all(file.split != split for file in files)]


def text_bytes(files: Iterable[InputFile]) -> dict[str, int]:
    """Estimate the bytes of raw text of each split."""
    sizes: dict[str, int] = {}
    for path, file in {file.path: file for file in files}.items():
        sizes[file.split] = sizes.get(file.split, 0) + path.stat().st_size * _TEXT_PER_PACKED[file.packing]
    return sizes


def _is_wanted(schema: Schema, split: str) -> bool:
    return split == "train" or (schema.flat_source is not None and split in schema.flat_source.files)


def _refuse_two_validations(files: Sequence[InputFile], share: float) -> None:
    """Refuse to cut a validation split out of the train split of a log that has one."""
    own = [file for file in files if file.split == "validation"]
    if own:
        raise ConfigError(
            f"validation_share is {share:g}, but the log has a validation split of its own: {own[0].path}. Set "
            "validation_share to 0 (--validation-share 0) to use that, or take it out of the log (source.files of the "
            "schema, or the folder)."
        )


def _refuse_same_file(files: list[InputFile]) -> None:
    """Refuse one file, by whatever name, in two splits or twice in one."""
    first: dict[tuple[int, int, str], InputFile] = {}
    for file in files:
        status = file.path.stat()
        other = first.setdefault((status.st_dev, status.st_ino, file.member), file)
        if other is file:
            continue
        names = f"{file.path}" if other.path == file.path else f"{other.path} and {file.path} are one file, which"
        where = (
            f"in the {other.split} and the {file.split} split" if other.split != file.split else "twice in its split"
        )
        raise InputDataError(
            f"{names} is {where}: its impressions would count twice, and a test on them says nothing. Correct "
            "source.files of the schema, or the folder; source.split cuts a test split out of the train files, and "
            "--validation-share a validation split."
        )


class NotAliCcpError(InputDataError):
    """A folder holds no log of the Ali-CCP form."""

    def __init__(self, wrong: str) -> None:
        """Make the error.

        Args:
            wrong: what is wrong, without what to do
        """
        super().__init__(f"{wrong} Check the folder, or name a schema with source.form 'flat' for a log of your own.")
        self.wrong = wrong


def _nothing_found(raw: Path, schema: Schema, split: str) -> InputDataError:
    source = schema.flat_source
    if source is not None and split not in source.files:
        return InputDataError(
            f"Schema '{schema.name}' names no files for the train split. Add source.files.train; or, for a log to be "
            "scored by a trained model, give --like DATA and --vocabulary RUN."
        )
    if source is not None:
        names = sorted(path.name for path in raw.iterdir())
        more = ", ..." if len(names) > _MOST_NAMES else ""
        return InputDataError(
            f"{raw} holds no file for the {split} split: schema '{schema.name}' says source.files.{split} = "
            f"{source.files[split]!r}. The folder holds: {', '.join(names[:_MOST_NAMES]) or 'nothing'}{more}. "
            "Correct the schema or the folder."
        )
    return NotAliCcpError(
        f"{raw} holds no train log in the Ali-CCP form: neither sample_skeleton_train.csv (or .csv.gz) with "
        "common_features_train.csv, nor sample_train.tar.gz."
    )


def _aliccp_files(raw: Path, split: str) -> list[InputFile]:
    found: list[list[InputFile]] = []
    archive = raw / f"sample_{split}.tar.gz"
    if archive.is_file():
        found.append(
            [
                InputFile(
                    split=split,
                    kind=kind,
                    index=0,
                    path=archive,
                    name=archive.name,
                    packing="tar.gz",
                    member=f"{stem}_{split}.csv",
                )
                for kind, stem in _ALICCP_KINDS.items()
            ]
        )
    packings: list[tuple[Packing, str]] = [("plain", ".csv"), ("gz", ".csv.gz")]
    separate = []
    for kind, stem in _ALICCP_KINDS.items():
        forms = [
            InputFile(split=split, kind=kind, index=0, path=raw / name, name=name, packing=packing)
            for packing, name in ((packing, f"{stem}_{split}{ending}") for packing, ending in packings)
            if (raw / name).is_file()
        ]
        if len(forms) > 1:
            raise _two_forms(raw, forms)
        separate += forms
    if separate:
        found.append(separate)
    if len(found) > 1:
        raise _two_forms(raw, [found[0][0], found[1][0]])
    if found and len(found[0]) == 1:
        there = found[0][0]
        missing = "common_features" if there.kind == "skeleton" else "sample_skeleton"
        raise InputDataError(
            f"{raw} holds {there.path.name} but no {missing}_{split}.csv. Both files of a split are needed; "
            "get the missing one, or move this one away to go without the split."
        )
    return found[0] if found else []


def _two_forms(raw: Path, forms: list[InputFile]) -> InputDataError:
    names = " and ".join(form.path.name for form in forms)
    return InputDataError(f"{raw} holds {names}: the same log in two forms. Move one of them away.")


def _flat_files(raw: Path, source: FlatSource, split: str) -> list[InputFile]:
    pattern = source.files.get(split)
    if pattern is None:
        return []
    paths = matching_files(raw, pattern)
    return [
        InputFile(
            split=split,
            kind="log",
            index=i,
            path=path,
            name=Path(os.path.relpath(path, raw)).as_posix(),
            packing=packing_of(path),
        )
        for i, path in enumerate(paths)
    ]
