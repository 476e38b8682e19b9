from http import HTTPStatus

import pytest
from starlette.datastructures import Headers

from esmm_dist.serving.http.access import TokenGuard, check_body_type
from esmm_dist.serving.http.refusals import RefusedError

TOKEN = "a-token-of-some-length"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"")],
        [(b"authorization", b"Bearer wrong-token-of-length")],
        [(b"authorization", TOKEN.encode())],
        [(b"authorization", b"Basic " + TOKEN.encode())],
        [(b"authorization", b"Bearer " + TOKEN.encode()), (b"authorization", b"Bearer " + TOKEN.encode())],
        [(b"authorization", b"Bearer \xff")],
    ],
)
def test_a_request_without_the_token_is_refused(headers: list[tuple[bytes, bytes]]):
    with pytest.raises(RefusedError, match="no token that this server accepts") as refused:
        TokenGuard(TOKEN).check(headers)
    assert refused.value.status == HTTPStatus.UNAUTHORIZED
    assert refused.value.headers == {"WWW-Authenticate": "Bearer"}


def test_a_request_with_the_token_passes():
    TokenGuard(TOKEN).check([(b"accept", b"*/*"), (b"authorization", b"Bearer " + TOKEN.encode())])


def test_without_a_token_every_request_passes():
    TokenGuard(None).check([])


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/json"},
        {"content-type": "Application/JSON; charset=utf-8", "origin": "http://elsewhere"},
        {"content-type": "application/vnd.api+json"},
        {},
        {"content-type": "application/json", "content-encoding": "identity"},
    ],
)
def test_json_passes(headers: dict[str, str]):
    check_body_type(Headers(headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"},
        {"content-type": "jsonish"},
        {"origin": "http://elsewhere"},  # fetch of a Blob names no type
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_what_a_page_can_send_without_asking_is_refused(headers: dict[str, str]):
    with pytest.raises(RefusedError, match="Send JSON, with Content-Type: application/json") as refused:
        check_body_type(Headers(headers))
    assert refused.value.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE


def test_the_type_that_curl_sends_passes_from_no_page():
    form = {"content-type": "application/x-www-form-urlencoded"}
    check_body_type(Headers(form))
    with pytest.raises(RefusedError, match="Content-Type 'application/x-www-form-urlencoded'"):
        check_body_type(Headers({**form, "origin": "null"}))


def test_a_compressed_body_is_refused():
    with pytest.raises(RefusedError, match="Content-Encoding 'gzip'. Send it as it is") as refused:
        check_body_type(Headers({"content-type": "application/json", "content-encoding": "gzip"}))
    assert refused.value.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE
