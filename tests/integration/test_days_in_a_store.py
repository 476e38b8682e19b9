"""Days of a log in a store that speaks S3 are those of a disk: counts over all days among them."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from esmm_dist.storage.folder import Folder
from launcher.cli import main
from tests.support.folder_content import folder_content
from tests.support.s3_server import S3Server
from tests.unit.preprocess.raw_logs import files
from tests.unit.preprocess.test_by_day import ROWS, write

SETTINGS = ["--min-count", "3", "--lanes", "3", "--workers", "1"]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write(tmp_path, ROWS)


def stored(uri: str) -> dict[str, bytes]:
    """Return the files of a data set in a store, without the times of its raw files."""
    found = folder_content(Folder.open(uri))
    return {path: content for path, content in found.items() if not path.endswith(".inputs.json")}


def local(folder: Path) -> dict[str, bytes]:
    return {path: content for path, content in files(folder).items() if not path.endswith(".inputs.json")}


def test_a_day_that_continues_another_one_in_a_store_is_the_same_as_on_a_disk(
    s3: S3Server, raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["copy", str(raw), s3.uri("bucket/days/raw")]) == 0
    schema = ["--schema", str(tmp_path / "own.yaml")]
    days = ["2024-03-03", "2024-03-04"]
    for like, day in zip([None, days[0]], days, strict=True):
        places = {
            "store": [s3.uri(f"bucket/days/{name}") for name in ("raw", day, like)],
            "disk": [str(raw), *(str(tmp_path / "local" / str(name)) for name in (day, like))],
        }
        for log, out, before in places.values():
            more = ["--like", before] if like is not None else schema
            assert main(["preprocess", log, out, *more, "--days", day, *SETTINGS]) == 0
        assert stored(s3.uri(f"bucket/days/{day}")) == local(tmp_path / "local" / day)
    counts = pq.read_table(tmp_path / "local" / days[1] / "rare_ids.parquet")
    assert max(counts["count"].to_pylist()) == 2
    capsys.readouterr()
    assert main(["preprocess", s3.uri("bucket/days/raw"), s3.uri("bucket/by-day"), *schema, "--by-day", *SETTINGS]) == 0
    assert "3 data sets in s3://bucket/by-day, each continuing the one before:" in capsys.readouterr().out
    for day in days:
        assert stored(s3.uri(f"bucket/by-day/{day}")) == local(tmp_path / "local" / day)
    # A folder of days in a store takes no further days: each is a data set of its own there
    assert main(["preprocess", s3.uri("bucket/days/raw"), s3.uri("bucket/by-day"), *schema, "--by-day", *SETTINGS]) == 2
    assert "holds files already. Give a new place" in capsys.readouterr().err


def test_events_in_a_store_are_joined_to_the_data_set_of_a_disk(s3: S3Server, tmp_path: Path):
    raw, schema = tmp_path / "events", ["--schema", str(tmp_path / "events/schema.yaml")]
    assert main(["synth", str(raw), "--form", "events", "--impressions", "3000", "--days", "2"]) == 0
    assert main(["copy", str(raw), s3.uri("bucket/events/raw")]) == 0
    assert main(["preprocess", str(raw), str(tmp_path / "data"), *schema, *SETTINGS]) == 0
    assert main(["preprocess", s3.uri("bucket/events/raw"), s3.uri("bucket/events/data"), *schema, *SETTINGS]) == 0
    found = stored(s3.uri("bucket/events/data"))
    assert found == local(tmp_path / "data")
    assert found["rejects/events.jsonl"]
