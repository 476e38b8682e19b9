"""JSON as TensorFlow Serving reads it: that of RFC 8259, and the numbers NaN, Infinity and -Infinity.

A name that comes twice in an object has its last value; a number beyond 64 bits is a float; nesting is limited, so that
no body can exhaust the stack.
"""

import json
import re
from typing import Any

import orjson

# A text without its closing quote goes to the end, and nothing is tried twice: else some bodies would take hours
_STRING_OR_WORD = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|-?Infinity|NaN', re.DOTALL)
_WORD = re.compile(rb"Infinity|NaN")


def json_of(body: bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: It is none: the text says what is wrong and where. Invalid UTF-8 and halves of a surrogate pair are
            no text.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as e:
        if not body.strip():
            raise ValueError("the body is empty") from e
        if _WORD.search(body) is None:
            raise ValueError(str(e)) from e
    # Python's parser knows the words, and takes what orjson refuses: the text without the words must be right, too.
    # In the place of each word are as many characters, so that an error names the true place.
    plain = _STRING_OR_WORD.sub(lambda found: found[0] if found[0][:1] == b'"' else b"1" * len(found[0]), body)
    try:
        orjson.loads(plain)
        return json.loads(body, parse_int=_number)
    except (ValueError, RecursionError) as e:
        raise ValueError(str(e)) from e


def _number(digits: str) -> int | float:
    value = int(digits) if len(digits) < 21 else float(digits)
    return value if -(2**63) <= value < 2**64 else float(digits)
