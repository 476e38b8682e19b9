import math

import pytest

from esmm_dist.serving.requests.json_text import json_of


def test_plain_json_is_read():
    assert json_of(b'{"a": [1, -2.5, null, true, "\\u00e9"]}') == {"a": [1, -2.5, None, True, "é"]}


def test_numbers_that_are_not_finite_are_read_as_tensorflow_serving_reads_them():
    value = json_of(b'{"a": [NaN, Infinity, -Infinity, 1], "NaN": "Infinity \\" NaN"}')
    assert math.isnan(value["a"][0])
    assert value["a"][1:] == [math.inf, -math.inf, 1]
    assert value["NaN"] == 'Infinity " NaN'


@pytest.mark.parametrize("rest", ["", ", NaN"])
def test_a_number_beyond_64_bits_is_a_float_with_or_without_words(rest: str):
    digits = "9" * 30
    value = json_of(f"[18446744073709551615, -9223372036854775808, {digits}, -9223372036854775809{rest}]".encode())
    assert value[:2] == [2**64 - 1, -(2**63)]
    assert value[2:4] == [1e30, -(2.0**63)]
    assert isinstance(value[2], float)
    assert isinstance(value[3], float)


@pytest.mark.parametrize("rest", ["", ', "z": NaN'])
def test_a_name_that_comes_twice_has_its_last_value(rest: str):
    assert json_of(f'{{"a": 1, "a": 2{rest}}}'.encode())["a"] == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  \n",
        b"{",
        b"[1,]",
        b"nan",
        b"[nan]",
        b"[+Infinity]",
        b"[NaNNaN]",
        b"[NaN",
        b'"\xff"',
        b'[NaN, "\xff"]',
        b'"\\ud800"',
        b'[NaN, "\\ud800"]',
        b"\xef\xbb\xbf{}",
        b"[1] 2",
        b"[NaN] 2",
        b"[" * 100_000,
        b"[" * 5_000 + b"NaN" + b"]" * 5_000,
        b'{"a":' * 100_000,
        b"[01]",
        b"'a'",
        b"// a\n1",
    ],
)
def test_what_is_no_json_is_refused_in_a_line(body: bytes):
    with pytest.raises(ValueError, match=".") as refused:
        json_of(body)
    assert type(refused.value) is ValueError
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


def test_a_text_that_does_not_end_is_read_once():
    """The time grew with the square of the length: half a minute for this one's hundredth part."""
    with pytest.raises(ValueError, match="unexpected end of data"):
        json_of(b'{"a": NaN, "b": "' + b'\\"' * 4_000_000)


def test_the_place_of_an_error_is_that_of_the_body():
    with pytest.raises(ValueError, match=r"line 1 column 22 \(char 21\)"):
        json_of(b'[NaN, -Infinity, "a" oops]')


def test_an_empty_body_is_called_empty():
    with pytest.raises(ValueError, match="the body is empty"):
        json_of(b" ")
