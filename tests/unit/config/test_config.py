"""Settings from mappings and back; what is unknown or of the wrong type is named."""

import datetime
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import pytest

from esmm_dist.config import Named, build, to_mapping, typed_settings
from esmm_dist.errors import ConfigError, SchemaError
from esmm_dist.yaml_text import read_yaml


@dataclass(frozen=True, kw_only=True)
class Inner:
    width: int = 3

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ConfigError(f"width is {self.width}. Set 1 or more.")


@dataclass(frozen=True, kw_only=True)
class Other:
    depth: int


@dataclass(frozen=True, kw_only=True)
class Outer:
    path: Path
    names: tuple[str, ...] = ("a",)
    inner: Inner = field(default_factory=Inner)
    by_name: dict[str, Inner] = field(default_factory=dict)
    layers: tuple[Inner, ...] = ()
    either: Other | None = None


@dataclass(frozen=True, kw_only=True)
class Circle:
    kind: Literal["circle"] = "circle"
    radius: int


@dataclass(frozen=True, kw_only=True)
class Square:
    kind: Literal["square"]
    side: str


@dataclass(frozen=True, kw_only=True)
class Drawing:
    shape: Annotated[Circle | Square, pydantic.Discriminator("kind")]


FULL = {
    "path": "x/y",
    "names": ["b", "c"],
    "inner": {"width": 5},
    "by_name": {"k": {"width": 7}},
    "layers": [{"width": 1}, {}],
    "either": {"depth": 2},
}


def test_nested_settings_are_built_and_missing_ones_have_their_defaults():
    built = build(Outer, FULL, where="f")
    assert built == Outer(
        path=Path("x/y"),
        names=("b", "c"),
        inner=Inner(width=5),
        by_name={"k": Inner(width=7)},
        layers=(Inner(width=1), Inner()),
        either=Other(depth=2),
    )
    assert build(Outer, {"path": "p"}, where="f").inner.width == 3


def test_plain_values_read_back_to_equal_settings():
    built = build(Outer, FULL, where="f")
    mapping = to_mapping(built)
    assert mapping["path"] == "x/y"
    assert mapping["names"] == ["b", "c"]
    assert build(Outer, mapping, where="f") == built


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"pth": "x"}, r"f: unknown setting 'pth'. Did you mean 'path'\? Known: by_name, "),
        ({"path": "x", "inner": {"widht": 1}}, r"unknown setting 'inner.widht'. Did you mean 'width'\? Known: width"),
        ({"path": "x", "by_name": {"k": {"w": 1}}}, "unknown setting 'by_name.k.w'"),
        ({"path": "x", "layers": [{}, {"w": 1}]}, r"unknown setting 'layers\[1\].w'"),
        ({"path": "x", 1: 2}, r"f: unknown setting '1'\."),
        (
            {"path": "x", "inner": {"width": "wide"}},
            r"f: inner.width: Input should be a valid integer.* \(got 'wide'\)",
        ),
        ({"path": "x", "inner": {"width": 1.5}}, "f: inner.width: Input should be a valid integer"),
        ({}, r"f: path is missing, and has no default\.$"),
        ({"path": "x", "inner": 3}, r"^f: inner is 3, not a mapping\. Write 'name: value' lines below it\.$"),
        ({"path": "x", "inner": {"width": True}}, r"^f: inner.width is true, but it takes neither true nor false\.$"),
        ({"path": "x", "layers": 3}, r"^f: layers: Input should be a valid tuple \(got 3\)\.$"),
        ({"path": "x", "layers": [3]}, r"^f: layers\[0\] is 3, not a mapping"),
        ({"path": "x", "by_name": {1: {}}}, r"^f: by_name\.1: Input should be a valid string \(got 1\)"),
        (["path"], r"^f: the content is \['path'\], not a mapping"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(mapping, message):
    with pytest.raises(ConfigError, match=message):
        build(Outer, mapping, where="f")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            {"kind": "square", "sied": "x"},
            r"^f: unknown setting 'shape\.sied'\. Did you mean 'side'\? Known: kind, side",
        ),
        ({"kind": "sqare", "side": "x"}, r"^f: shape\.kind is 'sqare'\. Did you mean 'square'\? Known: circle, square"),
        ({"side": "x"}, r"^f: shape\.kind is missing\. Known: circle, square"),
        ({"kind": 1}, r"^f: shape\.kind is '1'\. Known: circle, square"),
        ({"kind": "square"}, r"^f: shape\.side is missing, and has no default\.$"),
        (
            {"kind": "square", "side": 1},
            r"^f: shape\.side: Input should be a valid string \(got 1\)\. Write it in quotes to have it as text\.$",
        ),
        ({"kind": "circle", "radius": "x"}, r"^f: shape\.radius: Input should be a valid integer"),
        ("square", r"^f: shape is 'square', not a mapping"),
    ],
)
def test_a_setting_of_several_classes_is_checked_as_the_one_that_its_tag_names(shape, message):
    with pytest.raises(ConfigError, match=message):
        build(Drawing, {"shape": shape}, where="f")
    assert build(Drawing, {"shape": {"kind": "square", "side": "x"}}, where="f").shape == Square(
        kind="square", side="x"
    )


def test_a_settings_own_check_is_raised_as_it_is():
    with pytest.raises(ConfigError, match=r"^width is 0. Set 1 or more.$"):
        build(Outer, {"path": "x", "inner": {"width": 0}}, where="f")


def test_the_callers_class_of_error_is_raised():
    with pytest.raises(SchemaError, match="unknown setting 'x'"):
        typed_settings(Named("f", SchemaError), Inner, {"x": 1})
    with pytest.raises(SchemaError, match="valid integer"):
        build(Inner, {"width": []}, where="f", error=SchemaError)
    with pytest.raises(SchemaError, match=r"^f: width is 0\. Set 1 or more"):
        build(Inner, {"width": 0}, where="f", error=SchemaError)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, r"Cannot read .*settings.yaml: No such file or directory. Check the path"),
        (b"a: \xff", r"settings.yaml is not UTF-8 text \(byte 3\). Save it as UTF-8"),
        (b"a: [1", "settings.yaml:1: this is not YAML: expected"),
        (b"- 1\n- 2\n", "settings.yaml holds list, not a mapping of settings. Write 'name: value' lines"),
        (b"", "settings.yaml holds NoneType, not a mapping"),
    ],
)
def test_a_file_that_holds_no_settings_is_named_with_the_reason(tmp_path, data, message):
    path = tmp_path / "settings.yaml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ConfigError, match=message):
        read_yaml(path)


def test_a_file_of_settings_is_read(tmp_path):
    (tmp_path / "settings.yaml").write_text("a: 1\nb: {c: [2, x]}\n")
    assert read_yaml(tmp_path / "settings.yaml") == {"a": 1, "b": {"c": [2, "x"]}}


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_path_is_not_the_current_folder(value):
    with pytest.raises(ConfigError, match="f: path is empty. Give a path, or leave the setting out."):
        build(Outer, {"path": value}, where="f")


def test_words_are_texts_where_names_of_a_log_may_be_called_so(tmp_path):
    (tmp_path / "settings.yaml").write_text("no: [yes, on, off, true, FALSE, 1, 2024-01-31, truen]\n")
    day = datetime.date(2024, 1, 31)
    booleans: Any = read_yaml(tmp_path / "settings.yaml")
    assert booleans == {False: [True, True, False, True, False, 1, day, "truen"]}
    assert read_yaml(tmp_path / "settings.yaml", words=True) == {
        "no": ["yes", "on", "off", True, False, 1, day, "truen"]
    }


def _lowered(value: Any) -> Any:
    if value == "never":
        raise SchemaError("mode is 'never', which does nothing. Leave it out.")
    return value.lower() if isinstance(value, str) else value


@dataclass(frozen=True, kw_only=True)
class Checked:
    mode: Annotated[str, pydantic.BeforeValidator(_lowered)] = "fast"
    modes: Annotated[dict[str, Literal[0, 1]], pydantic.BeforeValidator(lambda value: value)] = field(
        default_factory=dict
    )


def test_the_check_that_a_setting_brings_with_its_type_is_made():
    assert build(Checked, {"mode": "SLOW", "modes": {"a": 1}}, where="f") == Checked(mode="slow", modes={"a": 1})
    with pytest.raises(ConfigError, match=r"^f: modes\.a is 2\. Known: 0, 1\."):
        build(Checked, {"modes": {"a": 2}}, where="f")


def test_what_the_check_of_a_type_says_comes_with_the_file():
    with pytest.raises(SchemaError, match=r"^own\.yaml: mode is 'never', which does nothing\. Leave it out\.$"):
        build(Checked, {"mode": "never"}, where="own.yaml", error=SchemaError)


@dataclass(frozen=True, kw_only=True)
class Numbers:
    rate: float | None = None
    weights: tuple[float, ...] = ()
    found: dict[str, Any] = field(default_factory=dict)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), "nan"])
@pytest.mark.parametrize("name", ["rate", "weights"])
def test_a_number_that_is_none_or_has_no_end_is_refused(name, value):
    given = {name: value if name == "rate" else [1.0, value]}
    with pytest.raises(ConfigError, match=rf"^f: {name} is (nan|-?inf)\. Set a finite number"):
        build(Numbers, given, where="f")


def test_what_was_measured_may_be_no_number():
    """An AUC without positives, in a manifest or in a mapping of anything."""
    nan = float("nan")
    assert str(build(Numbers, {"rate": nan}, where="f", error=SchemaError).rate) == "nan"
    assert str(build(Numbers, {"found": {"auc": nan}}, where="f").found["auc"]) == "nan"


@dataclass(frozen=True, kw_only=True)
class WithKeyword:
    continue_: bool = False
    last_: int = 1


def test_a_setting_that_is_a_python_keyword_has_its_name_in_files_and_an_underscore_in_code():
    built = build(WithKeyword, {"continue": True}, where="f")
    assert built.continue_
    assert to_mapping(built) == {"continue": True, "last_": 1}
    with pytest.raises(ConfigError, match="unknown setting 'continue_'"):
        build(WithKeyword, {"continue_": True}, where="f")
