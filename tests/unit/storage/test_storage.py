"""One interface to folders on a disk and in a store that speaks S3 (a real server)."""

import itertools
import time
from pathlib import Path

import pytest
import yaml

from esmm_dist.errors import ConfigError, StorageError
from esmm_dist.storage.folder import Folder, is_plain_name
from esmm_dist.storage.location import Location
from esmm_dist.storage.uris import without_credentials
from tests.support.s3_server import S3Server
from tests.support.small_disk import small_disk

_numbers = itertools.count()


@pytest.fixture(params=["local", "s3"])
def folder(request, tmp_path) -> Folder:
    """A folder that does not exist yet."""
    if request.param == "local":
        return Folder.open(tmp_path / "a/run")
    return Folder.open(request.getfixturevalue("s3").uri(f"bucket/a/run-{next(_numbers)}"))


def test_a_folder_is_there_after_it_was_made(folder):
    assert not folder.exists()
    assert folder.names() == []
    assert folder.file_sizes() == {}
    folder.make()
    folder.make()
    assert folder.exists()
    assert folder.names() == []


def test_bytes_come_back_and_replace_those_before(folder):
    folder.make()
    assert not folder.has("x")
    folder.write_bytes("x", b"first")
    folder.write_bytes("x", b"a second text")
    assert folder.has("x")
    assert folder.read_bytes("x") == b"a second text"
    assert folder.size("x") == 13
    assert folder.names() == ["x"]


def test_an_empty_file_is_a_file(folder):
    folder.make()
    folder.write_bytes("x", b"")
    assert folder.has("x")
    assert (folder.size("x"), folder.read_bytes("x")) == (0, b"")


def test_a_file_is_written_piece_by_piece_and_read_at_any_place(folder):
    folder.make()
    with folder.open_output("big") as stream:
        for i in range(100):
            stream.write(bytes([i]) * 100_000)
    assert folder.size("big") == 10_000_000
    with folder.open_input("big") as stream:
        stream.seek(4_199_999)
        assert stream.read(2) == bytes([41, 42])
        assert stream.size() == 10_000_000


def test_files_and_folders_are_listed_by_name_and_only_files_have_sizes(folder):
    inner = folder / "step-1"
    inner.make()
    inner.write_bytes("deep", b"1")
    folder.write_bytes("b", b"22")
    folder.write_bytes("a", b"333")
    assert folder.names() == ["a", "b", "step-1"]
    assert folder.file_sizes() == {"a": 3, "b": 2}
    assert not folder.has("step-1")
    assert inner.name == "step-1"
    assert str(inner) == f"{folder}/step-1"
    assert Folder.open(inner.location).read_bytes("deep") == b"1"


def test_deleting_takes_all_that_is_inside_and_may_be_repeated(folder):
    inner = folder / "step-1"
    inner.make()
    inner.write_bytes("x", b"1")
    folder.write_bytes("y", b"1")
    folder.delete_file("y")
    folder.delete_file("y")
    inner.delete()
    inner.delete()
    assert folder.names() == []
    folder.delete()
    assert not folder.exists()


@pytest.mark.parametrize("act", ["read_bytes", "size"])
def test_a_file_that_is_missing_is_named(folder, act):
    folder.make()
    with pytest.raises(FileNotFoundError, match=f"^{folder}/none is missing$"):
        getattr(folder, act)("none")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "/etc/passwd", "a\\b", "a\0"])
def test_names_that_could_lead_elsewhere_are_refused(folder, name):
    assert not is_plain_name(name)
    for act in (folder.has, folder.size, folder.read_bytes, folder.delete_file, folder.__truediv__):
        with pytest.raises(ValueError, match="is not the plain name of a file"):
            act(name)
    with pytest.raises(ValueError, match="is not the plain name of a file"):
        folder.write_bytes(name, b"")


def test_an_error_of_the_block_that_writes_or_reads_passes_through(folder):
    folder.make()
    folder.write_bytes("x", b"1")
    for opened in (folder.open_output("y"), folder.open_input("x")):
        with pytest.raises(KeyError, match="mine"), opened:
            raise KeyError("mine")


def test_a_local_folder_is_renamed_in_one_moment(tmp_path):
    before, after = Folder.open(tmp_path / "a"), Folder.open(tmp_path / "b")
    before.make()
    before.write_bytes("x", b"1")
    before.rename_to(after)
    assert not before.exists()
    assert after.read_bytes("x") == b"1"
    after.make()
    before.make()
    with pytest.raises(StorageError, match=rf"{before} cannot be renamed: Directory not empty. Move what it holds"):
        before.rename_to(after)


def test_bytes_are_stored_as_they_are_whatever_the_files_name(folder):
    folder.make()
    folder.write_bytes("log.csv.gz", b"not compressed")  # Arrow would compress it for the ending's sake
    assert (folder.size("log.csv.gz"), folder.read_bytes("log.csv.gz")) == (14, b"not compressed")


def test_where_a_folder_is(tmp_path, monkeypatch, s3):
    monkeypatch.chdir(tmp_path)
    relative = Folder.open("runs//a/")
    assert (str(relative), relative.is_local, relative.local_path) == ("runs/a", True, Path("runs/a"))
    assert relative.location == f"{tmp_path}/runs/a"  # another process may be elsewhere
    by_uri = Folder.open(f"file://{tmp_path}/a%20b")
    assert (str(by_uri), by_uri.is_local) == (f"{tmp_path}/a b", True)
    remote = Folder.open(s3.uri("bucket/a/run/")) / "b"
    assert (str(remote), remote.is_local, remote.name) == ("s3://bucket/a/run/b", False, "b")
    assert remote.location == Location.parse(s3.uri("bucket/a/run/b")).text
    with pytest.raises(AssertionError, match="has no local path"):
        _ = remote.local_path


@pytest.mark.parametrize("name", ["run:39", "2026-01-31T09:30", "s3:x"])
def test_relative_path_with_a_colon_is_a_path(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    folder = Folder.open(name)
    inner = folder / "a:b"
    inner.make()
    inner.write_bytes("x:y", b"1")
    with inner.open_output("z") as stream:
        stream.write(b"2")
    assert (inner.read_bytes("x:y"), inner.read_bytes("z"), folder.names()) == (b"1", b"2", ["a:b"])
    assert (str(folder), folder.local_path, folder.location) == (name, Path(name), f"{tmp_path}/{name}")
    parent = inner.parent
    assert parent is not None
    assert parent.names() == ["a:b"]
    assert set(folder.tree()) == {"a:b/x:y", "a:b/z"}


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("ftp://u:hush@host/x", r"'ftp://u@host/x' is no place .*: Unrecognized filesystem type in URI"),
        ("s3://k:hush@b/x?endpoint=h", r"'s3://b/x' is no place .*: Unexpected query parameter in S3 URI: 'endpoint'"),
        ("s3://k:hu/hush@b/x", r"'s3://b/x' is no place that can be opened: "),  # the secret is not encoded
        ("s3:/bucket/run", r"'s3:/bucket/run' is neither a path nor a URI. Write two slashes after the colon"),
        ("s3://?endpoint_override=h", r"'s3://\?endpoint_override=h' names no bucket. Write s3://BUCKET/RUN"),
        ("file://host/x", r"is no place .*: file:// has no host, but 'host' follows it"),
        ("", r"A place is empty\. Give a path or a URI"),
        (" ", r"A place is empty\. Give a path or a URI"),
    ],
)
def test_what_is_no_place_is_refused(location, message):
    with pytest.raises(ConfigError, match=message) as raised:
        Folder.open(location)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("runs/a@b:c", "runs/a@b:c"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("s3://KEY:hush@bucket/a@b", "s3://bucket/a@b"),
        ("s3://KEY@bucket/a", "s3://bucket/a"),
        ("s3://KEY:hu/hush@bucket/a", "s3://bucket/a"),  # not encoded
        ("s3://b/x?region=r&scheme=http&tls_ca_file_path=/f", "s3://b/x?region=r&scheme=http"),
        ("abfs://box@account/x?sas_token=hush", "abfs://box@account/x"),
        ("abfs://box:hush@account/x", "abfs://box@account/x"),
        ("gs://anonymous@b/x", "gs://anonymous@b/x"),
        ("hdfs://host:9000/a@b", "hdfs://host:9000/a@b"),
        ("hdfs://user:hush@host:9000/a", "hdfs://user@host:9000/a"),
    ],
)
def test_credentials_are_taken_out_of_locations_and_settings(location, shown):
    assert without_credentials(location) == shown
    settings = {"seed": 1, "run": location, "list": (location, 2.0, None)}
    assert without_credentials(settings) == {"seed": 1, "run": shown, "list": [shown, 2.0, None]}
    assert "hush" not in yaml.safe_dump(without_credentials(settings))


def test_neither_text_nor_repr_of_a_folder_holds_credentials(s3):
    folder = Folder.open(s3.uri("bucket/x", key="hush1", secret="hush2/+"))
    assert "hush" not in f"{folder} {folder!r} {folder / 'a'}"


def refuses(act, place: str, what: str) -> str:
    """Run ``act``; return the message of the StorageError, checked for what every one of them must and must not say."""
    with pytest.raises(StorageError, match=f"^{place} {what}: .+") as raised:
        act()
    chain = f"{raised.value!r} {raised.value.__cause__!r}"
    assert "asecret" not in chain
    assert "akey" not in chain
    return str(raised.value)


def test_an_unreachable_store_fails_soon_and_by_name(s3):
    with S3Server() as gone:
        folder = Folder.open(gone.uri("bucket/run"))
    start = time.monotonic()
    text = refuses(folder.make, "s3://bucket/run", "cannot be made")
    assert text.endswith("Check the address, the credentials and the network.")
    refuses(lambda: folder.read_bytes("x"), "s3://bucket/run/x", "cannot be read")
    refuses(lambda: folder.write_bytes("x", b"1"), "s3://bucket/run/x", "cannot be written")
    assert time.monotonic() - start < 30


def test_every_act_on_a_store_that_refuses_the_credentials_names_the_place():
    with S3Server() as server:
        server.make_bucket("bucket")
        server.refuse_after(0)
        folder = Folder.open(server.uri("bucket/run"))
        place = "s3://bucket/run"
        assert "ACCESS_DENIED" in refuses(folder.exists, place, "cannot be looked at")
        refuses(folder.make, place, "cannot be made")
        refuses(folder.names, place, "cannot be listed")
        refuses(folder.file_sizes, place, "cannot be listed")
        refuses(folder.delete, place, "cannot be removed")
        refuses(lambda: folder.has("x"), f"{place}/x", "cannot be looked at")
        refuses(lambda: folder.size("x"), f"{place}/x", "cannot be looked at")
        refuses(lambda: folder.read_bytes("x"), f"{place}/x", "cannot be read")
        refuses(lambda: folder.write_bytes("x", b"1"), f"{place}/x", "cannot be written")
        refuses(lambda: folder.delete_file("x"), f"{place}/x", "cannot be removed")


def test_a_bucket_that_is_missing_is_named(s3):
    folder = Folder.open(s3.uri("no-such-bucket/run"))
    refuses(folder.make, "s3://no-such-bucket/run", "cannot be made")
    refuses(lambda: folder.write_bytes("x", b"1"), "s3://no-such-bucket/run/x", "cannot be written")
    assert not folder.exists()


def test_s3_is_given_more_time_than_the_sdk_gives(s3):
    _, (settings,) = Folder.open(s3.uri("bucket/x"))._filesystem.__reduce__()
    assert (settings["connect_timeout"], settings["request_timeout"]) == (5.0, 15.0)


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", kilobytes=64) as place:
        yield place


def test_a_full_disk_is_told_and_keeps_the_file_before(disk):
    folder = Folder.open(disk / "run")
    folder.make()
    folder.write_bytes("x", b"before")
    text = refuses(lambda: folder.write_bytes("x", b"1" * 100_000), f"{folder}/x", "cannot be written")
    assert "No space left on device" in text
    assert text.endswith("Free space there, or choose another place.")
    assert folder.read_bytes("x") == b"before"
    assert folder.names() == ["x"]

    def write_piece_by_piece():
        with folder.open_output("y") as stream:
            stream.write(b"1" * 100_000)

    assert "No space left on device" in refuses(write_piece_by_piece, f"{folder}/y", "cannot be written")


def test_a_file_where_the_folder_should_be_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("file", "file/run"):
        folder = Folder.open(tmp_path / name)
        assert not folder.exists()
        refuses(folder.make, str(folder), "cannot be made")
