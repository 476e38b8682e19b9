"""The text of an impression: a name, and kept columns behind it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.schema.impression_text import kept_of, name_of, with_kept

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
VALUES = st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])))  # a zero byte is a character too


@given(name=NAMES, values=VALUES)
def test_name_and_values_come_back(name, values):
    text = with_kept(name.encode(), values)
    assert (name_of(text), kept_of(text)) == (name.encode(), values)


@given(name=NAMES)
def test_a_name_alone_is_the_text(name):
    assert (name_of(name.encode()), kept_of(name.encode())) == (name.encode(), [])


@pytest.mark.parametrize("text", [b"a\0", b"a\0{}", b"a\0[1]", b"a\0[\xff]"])
def test_a_damaged_text_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - of JSON, of UTF-8, or of its own
        kept_of(text)
