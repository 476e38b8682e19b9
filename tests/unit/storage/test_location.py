"""One value for what is checked, shown and opened: no form of writing means another place to the library that opens."""

from pathlib import Path
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st
from pyarrow import fs

from esmm_dist.errors import ConfigError
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.location import Location

LETTERS = st.characters(exclude_categories=("C", "Z"), exclude_characters="/\\\\")
PARTS = st.lists(
    st.text(LETTERS, min_size=1, max_size=6).filter(lambda p: p not in (".", "..")), min_size=1, max_size=3
)
VALUES = st.text(LETTERS, min_size=1, max_size=8)


@given(parts=PARTS, secret=VALUES, endpoint=VALUES)
def test_what_is_opened_is_what_was_parsed(parts, secret, endpoint):
    uri = f"s3://key:{quote(secret, safe='')}@bucket/{'/'.join(quote(part, safe='') for part in parts)}"
    uri += f"?region=eu-west-1&endpoint_override={quote(endpoint, safe='')}"
    place = Location.parse(uri)
    assert (place.address, place.path, dict(place.query)["endpoint_override"]) == ("bucket", "/".join(parts), endpoint)
    assert Location.parse(place.text) == place
    filesystem, path = fs.FileSystem.from_uri(place.text)
    assert path == f"bucket/{'/'.join(parts)}"
    _, (settings,) = filesystem.__reduce__()
    assert (settings["endpoint_override"], settings["secret_key"]) == (endpoint, secret)
    assert str(place).startswith("s3://bucket/")


@given(st.text(st.sampled_from("s3:/b%2ef?#&=@a.\\ \n"), max_size=20).map("s3://".__add__))
def test_a_uri_is_refused_or_leads_below_its_bucket(text):
    """Whatever the text: what opens it finds the very path that a check has seen."""
    try:
        place = Location.parse(text)
        filesystem, path = fs.FileSystem.from_uri(place.text + ("&" if place.query else "?") + "region=a")
    except (ConfigError, ValueError):
        return
    assert isinstance(filesystem, fs.S3FileSystem)
    assert path.rstrip("/") == f"{place.address}/{place.path}".rstrip("/")
    assert not {"", ".", ".."} & set(place.path.split("/") if place.path else ())


def test_forms_of_one_place_are_equal():
    forms = [
        "s3://b/a%62c?region=x&scheme=http",
        "S3://b/abc/?scheme=http&region=x",
        "s3://b/abc?region=%78&scheme=http",
    ]
    assert len({Location.parse(form) for form in forms}) == 1
    assert Location.parse("file:///a%20b") == Location.parse("/a b") == Location.parse(Path("/a b"))


def test_the_places_above_and_inside():
    run = Location.parse("s3://b/runs/a%20b?region=x") / "checkpoints"
    assert run.text == "s3://b/runs/a%20b/checkpoints?region=x"
    above = run.parent and run.parent.parent
    assert above is not None
    assert above.text == "s3://b/runs?region=x"
    assert above.parent is not None
    assert (above.parent.text, above.parent.parent) == ("s3://b?region=x", None)
    assert Location.parse("/").parent is None
    assert Folder.open("/a/b").parent is not None
    assert str(Folder.open("/a/b").parent) == "/a"
    assert str(Folder.open("s3://b/a%25b?region=x") / "c") == "s3://b/a%25b/c"
