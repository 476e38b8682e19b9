"""JSON with a checksum is read back as it was, or refused."""

import math

import pytest

from esmm_dist.report.sealed_json import sealed_json, unsealed_json

VALUES = {"b": 1, "a": [0.1, math.nan, math.inf, None], "text": "é\n"}


@pytest.mark.parametrize("indent", [None, 1])
def test_values_are_read_back(indent):
    assert repr(unsealed_json(sealed_json(VALUES, indent=indent))) == repr(VALUES)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"{", "Expecting"),
        (b"[]", "not a JSON object"),
        (b"{}", "checksum does not fit"),
        (b"[" * 100_000, "nested too deeply"),
        (sealed_json(VALUES).replace(b"0.1", b"0.2"), "checksum does not fit"),
    ],
)
def test_damage_is_refused(data, why):
    with pytest.raises(ValueError, match=why):
        unsealed_json(data)
