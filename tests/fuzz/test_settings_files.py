"""Schema files and manifests with damage: read as what they say, or refused with the file named; never a hang."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.config import build, to_mapping
from esmm_dist.errors import InputDataError, SchemaError
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.files import load_schema
from esmm_dist.schema.manifest import read_manifest
from tests.fuzz.mutations import mutated
from tests.support.tiny_dataset import tiny_groups, write_dataset
from tests.unit.preprocess.raw_logs import SCHEMA_TEXT

pytestmark = pytest.mark.timeout(60)

YAML_NOISE = st.sampled_from(
    [
        b"&a ",
        b"*a ",
        b"- ",
        b": ",
        b"{",
        b"}",
        b"[",
        b"]",
        b"'",
        b'"',
        b"\n",
        b"  ",
        b"\t",
        b"!!python/object:os.system ",
        b"!!int ",
        b"~",
        b"<<: ",
        b"|",
        b">",
        b"%",
        b"---\n",
        b"? ",
        b"2001-13-45",
        b"0x",
        b"9" * 5000,
        b".inf",
        b"\x00",
        b"\xff",
        b"#",
        b"max_ids: 3",
        b"[" * 2000,
    ]
)


def schema_of(text: bytes) -> Schema | None:
    """Load a schema file; None if it is refused, by its name."""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "schema.yaml"
        path.write_bytes(text)
        try:
            return load_schema(str(path))
        except SchemaError as e:
            problem = str(e)
    assert "schema" in problem.lower() or "field" in problem.lower()
    assert len(problem) < 3000
    return None


def check_round_trip(schema: Schema | None) -> None:
    """Check that a schema that was accepted is read back from a manifest as it was."""
    if schema is not None:
        assert build(Schema, json.loads(json.dumps(to_mapping(schema))), where="test") == schema


@settings(max_examples=500)
@given(mutated(SCHEMA_TEXT.encode(), YAML_NOISE))
def test_a_damaged_schema_file_is_refused_or_a_schema_that_can_be_written_and_read_back(text):
    check_round_trip(schema_of(text))


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200)
@given(st.data())
def test_a_schema_with_any_value_anywhere_is_refused_or_a_schema_that_can_be_written_and_read_back(data):
    mapping = yaml.safe_load(SCHEMA_TEXT)
    place = data.draw(st.sampled_from([mapping, mapping["source"], *mapping["fields"]]))
    place[data.draw(st.sampled_from([*place, "files", "max_ids", "table", "alias", "combiner"]))] = data.draw(VALUES)
    check_round_trip(schema_of(yaml.safe_dump(mapping, allow_unicode=True).encode()))


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return folder, write_dataset(folder, {"train": tiny_groups(12), "test": tiny_groups(4)})


JSON_NOISE = st.sampled_from(
    [
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b",",
        b":",
        b"1",
        b"-",
        b"e9",
        b"NaN",
        b"null",
        b"true",
        b"9" * 5000,
        b"\\ud800",
        b"\xff",
        b"[" * 5000,
        b" ",
    ]
)


@settings(max_examples=500)
@given(data=st.data())
def test_a_damaged_manifest_is_refused_or_means_the_same(data_set, data):
    folder, manifest = data_set
    text = data.draw(mutated((folder / "manifest.json").read_bytes(), JSON_NOISE))
    with tempfile.TemporaryDirectory() as temporary:
        (Path(temporary) / "manifest.json").write_bytes(text)
        try:
            assert read_manifest(Path(temporary)) == manifest
        except InputDataError as e:
            problem = str(e)
        else:
            return
    assert temporary in problem
    assert len(problem) < 3000
