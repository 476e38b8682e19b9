"""``esmm stats`` and ``esmm_dist.stats`` of a data set: the report, JSON, a page, and places in object stores."""

import json
from pathlib import Path

import pytest

import esmm_dist
from esmm_dist.errors import ConfigError
from esmm_dist.progress import NoProgress
from esmm_dist.report.data_statistics.statistics import DataStatistics
from esmm_dist.report.page.blocks import Page
from esmm_dist.storage.copy import copy_tree
from esmm_dist.storage.folder import Folder
from launcher import cli
from tests.support.s3_server import S3Server
from tests.support.tiny_dataset import tiny_groups, write_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stats") / "data"
    write_dataset(folder, {"train": tiny_groups(60), "test": tiny_groups(20, seed=2)})
    return folder


def test_the_command_and_python_say_the_same(data: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["stats", str(data)]) == 0
    printed = capsys.readouterr().out.strip()
    found = esmm_dist.stats(data)
    assert isinstance(found, DataStatistics)
    assert repr(found).strip() == printed
    assert printed.startswith(f"Data set {data}: schema tiny")
    assert cli.main(["stats", str(data), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(found.to_mapping()))


@pytest.fixture
def small_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the pictures, which take seconds and have tests of their own."""
    page = Page(title="Data", subtitle="none")
    monkeypatch.setattr("esmm_dist.report.data_page.page.data_page", lambda *_: page)


@pytest.mark.usefixtures("small_page")
def test_a_page_is_written_and_named(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    page = tmp_path / "pages" / "data.html"
    assert cli.main(["stats", str(data), "--html", str(page)]) == 0
    assert f"Wrote {page} (" in capsys.readouterr().out
    assert page.read_text().startswith("<!DOCTYPE html>")


@pytest.mark.usefixtures("small_page")
def test_data_in_a_store_are_read_and_the_page_is_put_there(data: Path, s3: S3Server):
    store = Folder.open(s3.uri("bucket"))
    copy_tree(Folder.open(data), store / "data", NoProgress())
    found = esmm_dist.stats(s3.uri("bucket/data"), html=s3.uri("bucket/data.html"))
    assert found.splits["train"].funnel == esmm_dist.stats(data).splits["train"].funnel
    assert store.read_bytes("data.html").startswith(b"<!DOCTYPE html>")


@pytest.mark.parametrize(("setting", "value"), [("sample", 0.0), ("sample", 1.5), ("most_ids", 10)])
def test_settings_that_make_no_sense_are_refused(data: Path, setting: str, value: float):
    with pytest.raises(ConfigError, match=f"{setting} is {value}"):
        esmm_dist.stats(data, config={setting: value})
