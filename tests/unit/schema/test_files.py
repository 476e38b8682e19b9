"""Schema files: the shipped presets, and mistakes in a user's own."""

import dataclasses
from importlib import resources
from pathlib import Path

import pytest

from esmm_dist.errors import SchemaError
from esmm_dist.schema import FlatSource, available_presets, load_schema


def test_shipped_presets_are_these_and_all_load():
    names = available_presets()
    assert names == ["aliccp", "aliccp-full", "events-example", "flat-example", "guidebook", "kuairand-flat"]
    sizes = {name: len(load_schema(name).fields) for name in names}
    assert sizes == {
        "aliccp": 19,
        "aliccp-full": 23,
        "events-example": 7,
        "flat-example": 15,
        "guidebook": 12,
        "kuairand-flat": 24,
    }


def test_guidebook_has_the_twelve_fields_of_the_guide():
    fields = {f.name: f for f in load_schema("guidebook").fields}
    # UserID, User_Cluster, User_CateIDs, User_BrandIDs, ItemID, CategoryID, ShopID, BrandID, Com_CateID, Com_ShopID,
    # Com_BrandID, PID
    assert list(fields) == ["101", "121", "109_14", "127_14", "205", "206", "207", "216", "508", "509", "702", "301"]
    full = {f.name: f for f in load_schema("aliccp-full").fields}
    for name, field in fields.items():
        assert (field.owner, field.alias, field.multi_hot) == (full[name].owner, full[name].alias, full[name].multi_hot)
        assert field.max_ids == (100 if field.multi_hot else None)
        assert not field.weighted


def test_aliccp_leaves_out_the_four_crosses_of_the_full_set():
    full, part = ({f.name for f in load_schema(n).fields} for n in ("aliccp-full", "aliccp"))
    assert full - part == {"508", "509", "702", "853"}


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


FLAT = """
name: own
labels: [click, conversion]
source:
  form: flat
  files: {train: train.csv, test: test.csv}
  labels: {click: clicked, conversion: bought}
  sample_id: id
fields: [{name: user, owner: user}, {name: item, owner: item}]
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("form: flat", "form: flatt", r"source\.form is 'flatt'\. Did you mean 'flat'\? Known: aliccp, events, flat\."),
        ("  form: flat\n", "", r"source\.form is missing\. Known: aliccp, events, flat\."),
        ("form: flat", "form: aliccp", r"unknown setting 'source\.files'\. Known: form\."),
        ("sample_id", "sampel_id", r"unknown setting 'source\.sampel_id'\. Did you mean 'sample_id'\?"),
        ("  files: {train: train.csv, test: test.csv}\n", "", r"source\.files is missing, and has no default\."),
        ("files: {train: train.csv, test: test.csv}", "files: train.csv", r"source\.files: .*valid dict.*'train\.csv'"),
        (
            "test: test.csv",
            "tset: test.csv",
            r"source\.files names files for 'tset', which is not a split\. Did you mean 'test'",
        ),
        (
            "test: test.csv",
            "valid: x.csv",
            r"source\.files names files for 'valid', which is not a split\. Did you mean 'validation'\?",
        ),
        ("train: train.csv, test: test.csv", "", r"source\.files is empty\. Add train: a file"),
        (
            "{train: train.csv, test: test.csv}",
            "{test: test.csv}\n  split: {test_share: 0.2, by: user}",
            r"source\.split cuts .* but source\.files names none\. Add train: .*; or leave out split, to score a whole",
        ),
        ("train: train.csv", "train: ''", r"source\.files\.train is empty\. Name a file"),
        (
            "train: train.csv",
            "train: 1",
            r"source\.files\.train: .*valid string \(got 1\)\. Write it in quotes to have it as text\.",
        ),
        ("sample_id: id", "list_separator: 1", r"source\.list_separator: .*valid string \(got 1\)\. Write it in quo"),
        (
            "sample_id: id",
            "list_separator: |",
            r"source\.list_separator is ''\. Write it in quotes, such as list_sep",
        ),
        ("sample_id: id", "weight_separator: >", r"source\.weight_separator is ''\. Write it in quotes"),
        (
            "sample_id: id",
            'list_separator: "\\n"',
            r"source\.list_separator is '\\n'\. Write it in quotes.*A line break",
        ),
        ("sample_id: id", 'list_separator: ":"', r"list_separator and source\.weight_separator are both ':'"),
        (
            "click: clicked",
            "clik: clicked",
            r"source\.labels names 'clik', which is not a label of the schema\. Did you mean 'click'",
        ),
        ("sample_id: id", "delimiter: ;;", r"source\.delimiter is ';;'\. Set one ASCII character"),
        ("sample_id: id", "delimiter: x", r"source\.delimiter is 'x'\. Set one ASCII character"),
        ("sample_id: id", "delimiter: |", r"source\.delimiter is ''\. Write it in quotes, such as delimiter"),
        ("sample_id: id", "decimal: ';'", r"source\.decimal is ';'\. Known: ',', '\.'\."),
        ("sample_id: id", "decimal: ','\n  list_separator: ','", r"source\.list_separator is ',' like source\.decimal"),
        ("sample_id: id", "encoding: utf-17", r"source\.encoding is 'utf-17', unknown to Python"),
        ("sample_id: id", "encoding: hex", r"source\.encoding is 'hex', unknown to Python"),
        ("sample_id: id", "encoding: utf-16", r"source\.encoding is 'utf-16': .*iconv -f utf-16 -t UTF-8"),
        ("click: clicked, ", "", r"source\.labels names no column for label 'click'\. Add it"),
        ("click: clicked", "click: bought", r"source\.labels gives column 'bought' to 'click' and to 'conversion'"),
        ("{name: item,", "{name: bought,", r"field 'bought' is also the column of label 'conversion': the model would"),
        ("{name: item,", "{name: id,", r"field 'id' is also source\.sample_id: it differs in every impression"),
        ("sample_id: id", "sample_id: bought", r"source\.sample_id reads column 'bought', which is label 'conversion'"),
        (
            "{name: item,",
            "{name: 101,",
            r"fields\[1\]\.name: .*valid string \(got 101\)\. Write it in quotes to have it as text\.",
        ),
        ("{name: item, owner: item}", "{name: item}", r"fields\[1\]\.owner is missing, and has no default\."),
        (
            "{name: item, owner: item}",
            "{name: item, owner: shop}",
            r"fields\[1\]\.owner is '.*'\..* Known: context, item, user",
        ),
        ("{name: item, owner: item}", "{name: item, owner: item, table: a b}", r"Field 'item': table is 'a b'"),
    ],
)
def test_every_mistake_in_a_schema_file_is_told_with_the_file_the_setting_and_what_would_be_right(
    tmp_path: Path, old: str, new: str, message: str
):
    path = tmp_path / "own.yaml"
    path.write_text(FLAT)
    assert load_schema(str(path)).name == "own"
    assert FLAT.count(old) == 1
    path.write_text(FLAT.replace(old, new))
    with pytest.raises(SchemaError, match=rf"^{path}: .*{message}"):
        load_schema(str(path))


def test_every_setting_of_a_flat_source_is_explained_in_the_example():
    example = Path(str(resources.files("esmm_dist.schema"))) / "presets" / "flat-example.yaml"
    text = example.read_text()
    names = [f.name for f in dataclasses.fields(FlatSource)]
    assert len(names) > 5
    assert [name for name in names if f" {name}:" not in text] == []


def test_schema_file_that_is_missing_is_an_error(tmp_path: Path):
    with pytest.raises(SchemaError, match=r"Cannot read .*none\.yml: No such file"):
        load_schema(str(tmp_path / "none.yml"))
