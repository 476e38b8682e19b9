"""Where ``esmm preprocess`` puts what it fetches for ``--like`` and ``--vocabulary``."""

import tempfile
from pathlib import Path

import pytest

from esmm_dist.api.known_ids import known_ids_fetched
from esmm_dist.progress import NoProgress
from preprocess.config import PreprocessConfig


@pytest.mark.parametrize(("like", "folders"), [(None, 0), ("data", 1)])
def test_a_preprocess_that_fetches_nothing_has_no_temporary_folder_to_leave_behind(
    like, folders, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    settings = PreprocessConfig(raw=Path("raw"), out=Path("out"), schema="aliccp", like=like)
    with known_ids_fetched(settings, NoProgress()):
        assert len(list(tmp_path.iterdir())) == folders
    assert list(tmp_path.iterdir()) == []
