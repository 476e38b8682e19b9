"""The tree of errors is the one that its docstring draws, and callers can tell "retry" from "give up"."""

import re

import pytest

from esmm_dist import errors
from esmm_dist.errors import ConfigError, EsmmError, GiveUpError, LeftError, LostError, RetryError

CLASSES = sorted((cls for cls in vars(errors).values() if isinstance(cls, type)), key=lambda cls: cls.__name__)


def drawn_tree() -> dict[str, str]:
    """Return each class of the drawing with the one that it stands below."""
    found: dict[str, str] = {}
    above: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"([ │├└─]*)(\w+Error)\b", line):
            indent, name = len(match[1]), match[2]
            found[name] = next((above[column] for column in sorted(above, reverse=True) if column < indent), "")
            above = {column: other for column, other in above.items() if column < indent} | {indent: name}
    return found


def test_the_docstring_draws_every_class_below_its_base():
    assert len(CLASSES) > 10
    assert drawn_tree() == {cls.__name__: "" if cls is EsmmError else cls.__bases__[0].__name__ for cls in CLASSES}


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_is_either_worth_another_try_or_not(cls):
    assert issubclass(cls, EsmmError)
    kinds = [kind for kind in (GiveUpError, RetryError, LeftError) if issubclass(cls, kind)]
    assert len(kinds) == (0 if cls is EsmmError else 1)


@pytest.mark.parametrize("cls", CLASSES)
def test_the_exit_status_tells_wrong_settings_and_a_worker_that_left_from_all_others(cls):
    expected = 2 if issubclass(cls, ConfigError) else 75 if issubclass(cls, LeftError) else 1
    assert cls.exit_status == expected


def test_what_is_lost_with_a_process_may_come_back_with_a_retry():
    assert issubclass(LostError, RetryError)
