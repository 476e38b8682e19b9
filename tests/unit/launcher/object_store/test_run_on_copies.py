"""A command that reads and writes files works on copies of what lies in a store."""

import fcntl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from esmm_dist.errors import ConfigError, InputDataError, StorageError
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.on_copies import SCRATCH
from esmm_dist.storage.stored_place import StoredPlace
from launcher.command import Command, Outcome
from launcher.object_store.places import run_on_copies
from tests.unit.launcher.commands.played_context import Messages, make_context


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a command that reads data and writes out."""

    data: Path = Path("data")
    """Read."""

    out: Path = Path("out")
    """Written."""


READS: dict[str, StoredPlace] = {"data": StoredPlace(use="read")}
WRITES: dict[str, StoredPlace] = {"out": StoredPlace(use="write", told_by="told.json")}


def command(work, stored, **changes):
    return Command(
        name="sample", group="G", summary="S.", example="e", settings=Settings, work=work, stored=stored, **changes
    )


def run(work, stored, uris, progress=None, **changes):
    def settings(copies: Any) -> Settings:
        return Settings(**copies)

    return run_on_copies(command(work, stored, **changes), uris, settings, make_context(progress))


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Copies lie where a test sees that none is left."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv(SCRATCH, raising=False)
    yield
    assert list(tmp_path.glob("esmm-copy-*")) == []


@pytest.fixture
def place(s3, request):
    """An empty place of the test's own in a store."""
    return s3.uri(f"bucket/{abs(hash(request.node.name))}")


def name_of(uri):
    return str(Folder.open(uri))


def test_what_is_read_is_a_copy_and_what_is_told_names_the_place_in_the_store(place):
    Folder.open(place).write_bytes("a", b"1234")

    def work(settings, context):
        context.progress.start(f"read {settings.data}", 1, "files")
        context.progress.message(f"reading {settings.data}/a")
        assert (settings.data / "a").read_bytes() == b"1234"
        return Outcome(lines=[f"read {settings.data}"], result={"data": settings.data, "all": [f"{settings.data}/a"]})

    progress = Messages()
    outcome = run(work, READS, {"data": place}, progress)
    assert outcome.lines == [f"read {name_of(place)}"]
    assert outcome.result == {"data": name_of(place), "all": [f"{name_of(place)}/a"]}
    assert progress.texts == [f"reading {name_of(place)}/a"]


def test_an_error_of_the_command_names_the_place_in_the_store(place):
    Folder.open(place).write_bytes("a", b"1234")

    def work(settings, context):
        raise InputDataError(f"{settings.data}/a is damaged.")

    with pytest.raises(InputDataError, match=rf"^{name_of(place)}/a is damaged\.$"):
        run(work, READS, {"data": place})


def writes(settings, context):
    settings.out.mkdir()
    (settings.out / "told.json").write_text("{}")
    (settings.out / "rows").write_text("12")
    return Outcome(lines=["written"], result={"out": settings.out})


def test_what_was_written_is_put_into_the_store_and_the_reader_told_how_to_get_it(place):
    outcome = run(writes, WRITES, {"out": place})
    assert set(Folder.open(place).tree()) == {"told.json", "rows"}
    assert outcome.lines == ["written", f"To copy it to a disk: esmm copy {name_of(place)} FOLDER"]


def test_a_file_that_was_written_is_put_under_its_name(place):
    def work(settings, context):
        settings.out.write_text("12")
        return Outcome(lines=[], result={})

    run(work, {"out": StoredPlace(use="write", kind="file")}, {"out": place})
    above = Folder.open(place).parent
    assert above is not None
    assert above.read_bytes(Folder.open(place).name) == b"12"


def test_nothing_is_put_into_the_store_if_the_command_fails(place):
    def work(settings, context):
        writes(settings, context)
        raise InputDataError("no.")

    with pytest.raises(InputDataError):
        run(work, WRITES, {"out": place})
    assert Folder.open(place).names() == []


def test_a_place_with_other_files_is_refused_before_the_work(place):
    Folder.open(place).write_bytes("own", b"1")
    with pytest.raises(ConfigError, match=rf"out is {name_of(place)}, which holds files already\. Give a new place"):
        run(writes, WRITES, {"out": place})
    assert Folder.open(place).names() == ["own"]


def test_a_result_that_is_there_is_shown_to_the_command_which_decides(place):
    run(writes, WRITES, {"out": place})
    seen = []

    def work(settings, context):
        seen.extend(sorted(path.name for path in settings.out.iterdir()))
        return Outcome(lines=["nothing to do"], result={})

    assert run(work, WRITES, {"out": place}).lines[0] == "nothing to do"
    assert seen == ["told.json"]  # the file that says what the others are, alone
    assert set(Folder.open(place).tree()) == {"told.json", "rows"}


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({}, "but esmm sample needs a local path there. Copy it first: esmm copy s3://"),
        ({"data": StoredPlace(use="write", kind="file")}, "Give the URI of a file in it."),
    ],
)
def test_a_setting_that_cannot_name_the_place_is_refused(s3, stored, message):
    with pytest.raises(ConfigError, match=message):
        run(writes, stored, {"data": s3.uri("bucket")})


def test_several_processes_would_each_copy(place, monkeypatch):
    monkeypatch.setenv("HOROVOD_RANK", "0")
    monkeypatch.setenv("HOROVOD_SIZE", "2")
    with pytest.raises(ConfigError, match="which each of 2 processes would copy"):
        run(writes, READS, {"data": place}, in_ranks=True)


def test_in_scratch_a_copy_stays_and_the_next_command_copies_nothing(place, tmp_path, monkeypatch):
    monkeypatch.setenv(SCRATCH, str(tmp_path / "scratch"))
    Folder.open(place).write_bytes("a", b"1234")
    times = []

    def work(settings, context):
        times.append((settings.data / "a").stat().st_ino)
        return Outcome(lines=[], result={})

    run(work, READS, {"data": place})
    run(work, READS, {"data": place})
    assert times[0] == times[1]


def test_two_commands_on_one_copy_are_refused(place, tmp_path, monkeypatch):
    monkeypatch.setenv(SCRATCH, str(tmp_path / "scratch"))
    Folder.open(place).write_bytes("a", b"1")
    run(lambda settings, context: Outcome(lines=[], result={}), READS, {"data": place})
    [folder] = (tmp_path / "scratch").iterdir()
    with (folder / ".lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match=rf"Another command is using the copy of {name_of(place)} in {folder}\."):
            run(writes, READS, {"data": place})


def test_a_scratch_that_cannot_be_written_is_named(place, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv(SCRATCH, str(tmp_path / "file"))
    with pytest.raises(StorageError, match=rf"{SCRATCH} is {tmp_path / 'file'}, which is not writable: .*unset it"):
        run(writes, READS, {"data": place})
