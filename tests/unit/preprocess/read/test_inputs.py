"""Finding the raw files."""

from pathlib import Path

import pytest

from esmm_dist.errors import InputDataError
from esmm_dist.schema import load_schema
from preprocess.read.inputs import find_inputs


def _touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], r"holds no train log in the Ali-CCP form"),
        (["sample_skeleton_train.csv"], r"holds sample_skeleton_train\.csv but no common_features_train\.csv"),
        (["common_features_train.csv.gz"], r"but no sample_skeleton_train\.csv"),
        (
            ["sample_skeleton_train.csv", "sample_skeleton_train.csv.gz", "common_features_train.csv"],
            r"sample_skeleton_train\.csv and sample_skeleton_train\.csv\.gz: the same log in two forms",
        ),
        (
            ["sample_train.tar.gz", "sample_skeleton_train.csv", "common_features_train.csv"],
            r"sample_train\.tar\.gz and sample_skeleton_train\.csv: the same log in two forms",
        ),
    ],
)
def test_incomplete_or_ambiguous_folder_is_an_error(tmp_path: Path, names: list[str], text: str):
    with pytest.raises(InputDataError, match=text):
        find_inputs(_touch(tmp_path, *names), load_schema("aliccp"))


def test_file_in_place_of_its_folder_is_an_error_that_names_the_folder(tmp_path: Path):
    log = tmp_path / "log.csv"
    log.touch()
    with pytest.raises(InputDataError) as error:
        find_inputs(log, load_schema("flat-example"))
    assert str(error.value) == f"{log} is a file. Give the folder that holds it ({tmp_path}); the schema names files."


def test_folder_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(InputDataError, match=r"nowhere is not a folder"):
        find_inputs(tmp_path / "nowhere", load_schema("aliccp"))
