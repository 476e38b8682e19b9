"""Checkpoints with damage: refused with the file named, or read as what was saved; never a crash or other rows."""

import dataclasses
import json
import tempfile
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.checkpoint.format import CheckpointFile, CheckpointManifest, read_checkpoint_manifest
from esmm_dist.checkpoint.reader import open_checkpoint
from esmm_dist.checkpoint.writer import CheckpointContent, write_checkpoint
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.errors import CheckpointError
from esmm_dist.storage.folder import Folder
from tests.fuzz.mutations import mutated
from tests.support.tiny_dataset import tiny_schema

pytestmark = pytest.mark.timeout(60)

STEP = 7
CONFIG = EmbeddingConfig(embedding_dim=2, admit_after=3)
FILES = ("dense.npz", "main-0000-4096.arrow", "main-0000-4096.candidates.arrow", "manifest.json")
Contents = dict[str, bytes]


def filled() -> EmbeddedStore:
    """Return a store with rows, and with candidates that have none yet."""
    store = EmbeddedStore(("main",), CONFIG, seed=1)
    ids = np.arange(-20, 20, dtype=np.int64)
    counts = np.where(ids < 5, 9, 1)
    store.push(store.prepare("main", ids, counts), np.ones((40, 2), np.float32), impressions=4, step=STEP)
    return store


@pytest.fixture(scope="module")
def contents(tmp_path_factory) -> Contents:
    content = CheckpointContent(
        step=STEP,
        schema=tiny_schema(),
        dense={"a/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(1.5)},
        settings={"seed": 1},
        state={"evaluations": []},
        metrics={},
    )
    folder = write_checkpoint(Folder.open(tmp_path_factory.mktemp("run")), content, filled(), keep=1)
    assert tuple(folder.names()) == FILES
    return {name: folder.read_bytes(name) for name in FILES}


def read(contents: Contents) -> tuple[CheckpointManifest, dict[str, bytes], dict[str, bytes]]:
    """Read a checkpoint of these files as a resumed training does: manifest, dense weights, rows with all of theirs."""
    with tempfile.TemporaryDirectory() as temporary:
        run = Folder.open(temporary)
        folder = run / "checkpoints" / f"step-{STEP:08d}"
        folder.make()
        for name, data in contents.items():
            (folder.local_path / name).write_bytes(data)
        checkpoint = open_checkpoint(run, STEP)
        store = EmbeddedStore(("main",), CONFIG, seed=1)
        store.restore(checkpoint.folder, checkpoint.manifest.tables, step=STEP)
        saved = Folder.open(Path(temporary) / "again")
        saved.make()
        rows = {file.path: saved.read_bytes(file.path) for file in store.save(saved, step=STEP)}
        after = {path.name: path.read_bytes() for path in folder.local_path.iterdir()}
        assert after == contents  # reading changes nothing
        return checkpoint.manifest, {name: each.tobytes() for name, each in checkpoint.dense().items()}, rows


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_file_is_refused_by_name_or_reads_as_what_was_saved(contents, name, data):
    damaged = {**contents, name: data.draw(mutated(contents[name]))}
    try:
        found = read(damaged)
    except CheckpointError as e:
        problem = str(e)
    else:
        assert found == read(contents)
        return
    assert name in problem


def read_with_fitting_checksum(contents: Contents, name: str, changed: bytes) -> None:
    """Read a checkpoint of which one file was changed, and the manifest with it."""
    with tempfile.TemporaryDirectory() as temporary:
        (Path(temporary) / "manifest.json").write_bytes(contents["manifest.json"])
        manifest = read_checkpoint_manifest(Folder.open(temporary))

    def described(file):
        if file.path != name:
            return file
        return dataclasses.replace(file, file_bytes=len(changed), crc32c=google_crc32c.value(changed))

    dense: CheckpointFile = described(manifest.dense)
    forged = dataclasses.replace(manifest, dense=dense, tables=tuple(map(described, manifest.tables)))
    read({**contents, name: changed, "manifest.json": forged.to_json().encode()})


@pytest.mark.parametrize("name", FILES[:3])
@settings(max_examples=120)
@given(data=st.data())
def test_a_damaged_file_whose_checksum_was_made_to_fit_harms_nobody(contents, name, data):
    """Behind the checksum stand the readers of NumPy and Arrow: what they make of nonsense is an error or rows."""
    try:
        read_with_fitting_checksum(contents, name, data.draw(mutated(contents[name])))
    except CheckpointError as e:
        problem = str(e)
    else:
        return
    assert name in problem


def test_a_column_whose_name_is_not_text_is_refused_by_the_name_of_its_file(contents):
    changed = contents[FILES[1]].replace(b"slots", b"\x80lots")
    with pytest.raises(CheckpointError, match=rf"{FILES[1]} is not an Arrow file: .*can't decode byte 0x80"):
        read_with_fitting_checksum(contents, FILES[1], changed)


@settings(max_examples=60)
@given(st.data())
def test_a_manifest_with_any_value_anywhere_is_refused_or_read(contents, data):
    """With a checksum that fits: what is behind it must hold by itself."""

    mapping = json.loads(contents["manifest.json"])
    del mapping["crc32c"]
    place = data.draw(st.sampled_from([mapping, mapping["dense"], mapping["tables"][0], mapping["schema"]]))
    value = data.draw(
        st.none() | st.integers() | st.text(max_size=9) | st.lists(st.integers(), max_size=2) | st.floats()
    )
    place[data.draw(st.sampled_from(sorted(place)))] = value
    checksum = google_crc32c.value(json.dumps(mapping, indent=1).encode())
    text = json.dumps({**mapping, "crc32c": checksum}, indent=1).encode()
    try:
        read({**contents, "manifest.json": text})
    except CheckpointError as e:
        problem = str(e)
    else:
        return
    assert "step-" in problem
