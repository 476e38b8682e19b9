"""Text files of other delimiters, encodings and decimal marks come out as the same log written as CSV."""

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest

from esmm_dist.errors import InputDataError, SchemaError
from tests.unit.preprocess.raw_logs import read_impressions, rejects, run, shard_bytes

SCHEMA = """
name: own
labels: [click, conversion]
source:
  form: flat
  files: {train: "log.*"}
  labels: {click: clicked, conversion: bought}
  sample_id: id
%s
fields:
  - {name: city, owner: user}
  - {name: interests, owner: user, multi_hot: true, weighted: true}
  - {name: price, owner: item}
"""
ROWS = [
    ("id", "city", "interests", "price", "clicked", "bought"),
    ("1", "Köln", "sport:2.5|film:.5", "7", "1", "0"),
    ("2", '"a ""b"""', "sport:1e-2", "7.0", "1.0", "true"),
    ("3", "", "", "1.5", "0", "0"),
    ("4", "Köln", "film:1", "", "0", "0"),
]


def write(folder: Path, text: bytes, name: str = "log.csv", *settings: str) -> tuple[Path, str]:
    raw = folder / "raw"
    shutil.rmtree(raw, ignore_errors=True)
    raw.mkdir()
    (raw / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    (folder / "own.yaml").write_text(SCHEMA % "\n".join(f"  {setting}" for setting in settings))
    return raw, str(folder / "own.yaml")


def text_of(delimiter: str) -> str:
    return "".join(delimiter.join(row) + "\n" for row in ROWS)


def with_commas(text: str) -> str:
    for number in ("2.5", ":.5", "7.0", "1.5", "1.0"):
        text = text.replace(number, number.replace(".", ","))
    return text


FORMS = [
    (text_of("\t").encode(), "log.tsv", ()),
    (text_of("\t").encode(), "log.tsv.gz", ()),
    (text_of("\t").encode(), "log.csv", ("delimiter: tab",)),
    (text_of("\t").encode(), "log.csv", ("delimiter: \\t",)),
    (text_of(";").encode(), "log.csv", ("delimiter: ;",)),
    (text_of("\x01").encode(), "log.csv", ('delimiter: "\\x01"',)),  # Hive
    (text_of("|").replace("sport:2.5|film:.5", '"sport:2.5|film:.5"').encode(), "log.csv", ('delimiter: "|"',)),
    (text_of(",").encode("utf-8-sig"), "log.csv", ("encoding: utf-8-sig",)),
    (text_of(",").encode("cp1252"), "log.csv", ("encoding: latin-1",)),
    (with_commas(text_of(";")).encode(), "log.csv", ("delimiter: ;", "decimal: ','")),
]


@pytest.mark.parametrize(("text", "name", "settings"), FORMS)
def test_log_of_another_form_comes_out_as_the_csv(tmp_path: Path, text: bytes, name: str, settings: tuple[str, ...]):
    raw, schema = write(tmp_path, text_of(",").encode())
    plain = run(raw, tmp_path / "plain", schema=schema)
    assert [i.labels for i in read_impressions(tmp_path / "plain", plain, "train")] == [(1, 0), (1, 1), (0, 0), (0, 0)]
    raw, schema = write(tmp_path, text, name, *settings)
    other = run(raw, tmp_path / "other", schema=schema, max_reject_share=0.0)
    assert shard_bytes(tmp_path / "other", other) == shard_bytes(tmp_path / "plain", plain)


def test_encoding_with_bytes_that_look_like_separators_is_decoded_first(tmp_path: Path):
    word = b"\x81\x7c".decode("gbk")  # one character, whose second byte is "|"
    text = f"id|city|interests|price|clicked|bought\n1|{word}||7|1|0\n2|x||7|1|0\n"
    raw, schema = write(tmp_path, text.encode("gbk"), "log.csv", 'delimiter: "|"', "encoding: gbk")
    manifest = run(raw, tmp_path / "out", schema=schema, max_reject_share=0.0)
    assert manifest.splits["train"].impressions == 2


def test_line_that_is_no_text_of_the_encoding_is_rejected(tmp_path: Path):
    text = b"id,city,interests,price,clicked,bought\n1,\x81,,7,1,0\n2,x,,7,1,0\n3,x,,7,\xe9,0\n"
    raw, schema = write(tmp_path, text, "log.csv", "encoding: cp1252")  # which has no character 0x81
    run(raw, tmp_path / "out", schema=schema, max_reject_share=0.9)
    assert rejects(tmp_path / "out") == [("log.csv", 2, "bad_encoding"), ("log.csv", 4, "bad_label")]
    assert '"value": "é"' in (tmp_path / "out/rejects/train.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize(("delimiter", "shown"), [(";", ";"), ("\t", "tab"), ("|", r"\|")])
def test_delimiter_that_the_schema_does_not_say_is_told(tmp_path: Path, delimiter: str, shown: str):
    raw, schema = write(tmp_path, text_of(delimiter).encode())
    with pytest.raises(SchemaError, match=rf"separated by '{shown}': set source\.delimiter to it"):
        run(raw, tmp_path / "out", schema=schema)


def test_header_of_another_encoding_is_told(tmp_path: Path):
    raw, schema = write(tmp_path, b"id,city,interests,price,clicked,bought,gr\xf6\xdfe\n")
    with pytest.raises(
        InputDataError, match=r"raw/log\.csv: The header line .* is not utf-8 text\. Set source\.encoding"
    ):
        run(raw, tmp_path / "out", schema=schema)


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
def test_utf_16_is_refused_with_the_command_that_converts_it(tmp_path: Path, name: str):
    raw, schema = write(tmp_path, text_of("\t").encode("utf-16"), name, "delimiter: tab")
    with pytest.raises(InputDataError, match=r"is UTF-16 text.*move the old file away: (.*)$") as caught:
        run(raw, tmp_path / "out", schema=schema)
    subprocess.run(["bash", "-c", str(caught.value).partition("away: ")[2]], check=True)
    (raw / name).unlink()
    (raw / f"utf8-{name}").rename(raw / name)
    assert run(raw, tmp_path / "out", schema=schema).splits["train"].impressions == 4
