"""Schemas, the shipped presets, and the manifest."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from esmm_dist.config import build, to_mapping
from esmm_dist.errors import InputDataError, SchemaError
from esmm_dist.schema import Field, FlatSource, Schema, available_presets, load_schema
from esmm_dist.schema.manifest import DatasetManifest, Shard, Split, read_manifest

ITEM = Field(name="item", owner="item")


def test_shipped_presets_are_these_and_all_load():
    names = available_presets()
    assert names == ["aliccp", "aliccp-full", "flat-example", "guidebook", "kuairand-flat"]
    sizes = {name: len(load_schema(name).fields) for name in names}
    assert sizes == {"aliccp": 19, "aliccp-full": 23, "flat-example": 7, "guidebook": 12, "kuairand-flat": 22}


def test_guidebook_has_the_twelve_fields_of_the_guide():
    assert [f.name for f in load_schema("guidebook").fields] == (
        ["101", "109_14", "110_14", "127_14", "150_14", "205", "206", "207", "210", "216", "508", "301"]
    )


def test_aliccp_leaves_out_the_four_crosses_of_the_full_set():
    full, part = ({f.name for f in load_schema(n).fields} for n in ("aliccp-full", "aliccp"))
    assert full - part == {"508", "509", "702", "853"}


def test_fields_are_listed_by_owner_in_schema_order():
    fields = (
        ITEM,
        Field(name="b", owner="user"),
        Field(name="c", owner="context", table="t2"),
        Field(name="a", owner="user"),
    )
    schema = Schema(name="s", labels=("x", "y"), fields=fields)
    assert [f.name for f in schema.user_fields] == ["b", "a"]
    assert [f.name for f in schema.impression_fields] == ["item", "c"]
    assert schema.tables == ("main", "t2")
    assert schema.field("c").alias == "c"


def test_schema_survives_a_mapping():
    schema = load_schema("flat-example")
    assert build(Schema, json.loads(json.dumps(to_mapping(schema))), where="test") == schema


def test_unknown_preset_names_the_nearest(tmp_path: Path):
    with pytest.raises(SchemaError, match=r"There is no schema 'guidebok'\. Did you mean 'guidebook'\?"):
        load_schema("guidebok")


def test_schema_file_with_an_unknown_setting_names_file_and_setting(tmp_path: Path):
    path = tmp_path / "own.yaml"
    path.write_text("name: own\nlabels: [a, b]\nfields: [{name: x, owner: item, multihot: true}]\n")
    with pytest.raises(
        SchemaError, match=r"own\.yaml: unknown setting 'fields\[0\]\.multihot'\. Did you mean 'multi_hot'"
    ):
        load_schema(str(path))


BOMB = "a: &a [x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: " + "9" * 5000, "is not valid YAML: Exceeds the limit"),
        ("name: 2001-13-45", "is not valid YAML: month must be in 1..12"),
        ("name: " + "[" * 5000, "is not valid YAML: maximum recursion depth"),
        # The first line has 2 values, each further one a list of 9 times that: 19, 172, 1549, 13,942, in line 6 125,479
        (BOMB, r"own\.yaml:6: the file holds more than 100,000 values"),
        ("a: 1\nname: &a [*a]", r"own\.yaml:2: the file holds more than 100,000 values"),  # without end
        ("a:\n" + "- 1\n" * 100_001, r"own\.yaml:100000: the file holds more"),  # the mapping and the list count too
        (f"name: {'x' * 5000}\nlabels: [a, b]\nfields: {'y' * 5000}", r"fields: .* \(got 'y{199}\.\.\.y{199}'\)"),
        ("x" * 900 + ": 1", r"unknown setting 'x{200}\.\.\.x{200}'"),
    ],
)
def test_schema_file_of_nonsense_is_refused_at_once_and_in_few_words(tmp_path: Path, text: str, message: str):
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(SchemaError, match=message) as caught:
        load_schema(str(tmp_path / "own.yaml"))
    assert len(str(caught.value)) < 2000


def test_schema_file_that_is_missing_is_an_error(tmp_path: Path):
    with pytest.raises(SchemaError, match=r"Cannot read .*none\.yml: No such file"):
        load_schema(str(tmp_path / "none.yml"))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"name": ""}, r"A field has an empty name"),
        ({"max_ids": 0, "multi_hot": True}, r"Field 'item': max_ids is 0\. Set 1 or more"),
        ({"max_ids": 3}, r"Field 'item': max_ids is for multi-hot fields"),
    ],
)
def test_wrong_field_is_an_error(settings: dict[str, object], text: str):
    with pytest.raises(SchemaError, match=text):
        replace(ITEM, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"labels": ("click",)}, r"label chain \['click'\] has 1 labels"),
        ({"labels": ("a", "a")}, r"label 'a' is listed twice"),
        ({"fields": (ITEM, ITEM)}, r"field 'item' is listed twice"),
        ({"fields": (Field(name="u", owner="user"),)}, r"no field is owned by item or context"),
        (
            {"source": FlatSource(form="flat", files={"train": "x"}, labels={"a": "a"})},
            r"source\.labels names no column for label 'b'",
        ),
    ],
)
def test_wrong_schema_is_an_error(settings: dict[str, object], text: str):
    with pytest.raises(SchemaError, match=text):
        replace(Schema(name="s", labels=("a", "b"), fields=(ITEM,)), **settings)  # type: ignore[arg-type]


def test_unknown_field_names_the_known():
    with pytest.raises(SchemaError, match=r"has no field 'shop'\. Known: \['item'\]"):
        Schema(name="s", labels=("a", "b"), fields=(ITEM,)).field("shop")


def manifest() -> DatasetManifest:
    shard = Shard(path="train/x", lane=0, part=0, records=1, impressions=2, file_bytes=3, crc32c=4)
    split = Split(
        records=1,
        impressions=2,
        label_counts={"click": 1, "conversion": 0},
        broken_chains={"conversion": 0},
        shards=(shard,),
    )
    return DatasetManifest(
        schema=load_schema("aliccp"),
        compression="ZLIB",
        lanes=1,
        group_size=8,
        splits={"train": split},
        vocabulary_file="vocabulary.parquet",
        vocabulary_size=5,
    )


def test_manifest_is_read_as_it_was_written(tmp_path: Path):
    (tmp_path / "manifest.json").write_text(manifest().to_json())
    assert read_manifest(tmp_path) == manifest()


def test_manifest_whose_bytes_changed_is_refused_even_where_it_still_makes_sense(tmp_path: Path):
    (tmp_path / "manifest.json").write_text(manifest().to_json().replace('"records": 1', '"records": 3'))
    with pytest.raises(InputDataError, match=r"manifest\.json has another checksum than the one it ends with"):
        read_manifest(tmp_path)


def test_manifest_from_before_there_was_a_checksum_is_read(tmp_path: Path):
    mapping = json.loads(manifest().to_json())
    del mapping["crc32c"]
    (tmp_path / "manifest.json").write_text(json.dumps(mapping))
    assert read_manifest(tmp_path) == manifest()


def test_folder_without_a_manifest_is_no_data_set(tmp_path: Path):
    with pytest.raises(InputDataError, match=r"holds no manifest\.json, so it is not a finished data set"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"manifest\.json cannot be read"),
        ("[" * 100_000, r"manifest\.json cannot be read \(maximum recursion depth"),
        ("[]", r"is not the manifest of a data set"),
        ('{"format": "other"}', r"is not the manifest of a data set"),
        ('{"format": "esmm_dist.dataset", "format_version": 99}', r"has format version 99; this program reads 1"),
        ('{"format": "esmm_dist.dataset", "format_version": 1}', r"manifest\.json: schema: Field required"),
    ],
)
def test_damaged_or_foreign_manifest_is_refused(tmp_path: Path, text: str, message: str):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputDataError, match=message):
        read_manifest(tmp_path)
