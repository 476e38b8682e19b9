"""Whatever is asked: a signed request passes once, and no changed one does."""

from email.message import Message

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from esmm_dist.ranks.rendezvous.signing import (
    NUMBER,
    ForgedError,
    RendezvousPlace,
    SignatureCheck,
    Signer,
    new_nonce,
    rendezvous_key,
)

KEY = rendezvous_key("0123456789abcdef", "ab")
METHODS = st.sampled_from(["GET", "PUT", "DELETE"])
REQUESTS = st.tuples(METHODS, st.text(max_size=20), st.binary(max_size=20))


def headers_of(signed: dict[str, str]) -> "Message[str, str]":
    found: Message[str, str] = Message()
    for name, value in signed.items():
        found[name] = value
    return found


def is_admitted(request: tuple[str, str, bytes], headers: "Message[str, str]") -> bool:
    check = SignatureCheck(KEY)
    try:
        check.admit(request[0], request[1], headers)
        check.check_body(headers, request[2])
    except ForgedError:
        return False
    return True


@given(st.lists(REQUESTS, min_size=1, max_size=5))
def test_requests_pass_in_the_order_of_their_signing_and_each_once(requests):
    signer, check = Signer(KEY), SignatureCheck(KEY)
    for method, path, body in requests:
        headers = headers_of(signer.sign(method, path, body))
        check.admit(method, path, headers)
        check.check_body(headers, body)
        with pytest.raises(ForgedError, match="the request is a copy"):
            check.admit(method, path, headers)


@given(REQUESTS, REQUESTS)
def test_a_signature_is_good_for_its_own_request_alone(signed, sent):
    assume(signed != sent)
    headers = headers_of(Signer(KEY).sign(*signed))
    assert not is_admitted(sent, headers)


@given(REQUESTS, st.integers(min_value=2, max_value=10**9))
def test_a_number_that_was_raised_by_another_hand_is_refused(request_, number):
    headers = headers_of({**Signer(KEY).sign(*request_), NUMBER: str(number)})
    with pytest.raises(ForgedError, match="carries no signature of the job's token"):
        SignatureCheck(KEY).admit(request_[0], request_[1], headers)


@given(REQUESTS, st.integers(100, 599), st.binary(max_size=20), st.integers(100, 599), st.binary(max_size=20))
def test_a_reply_answers_its_own_request_with_its_own_status_and_body(request_, status, body, other_status, other_body):
    signer, check = Signer(KEY), SignatureCheck(KEY)
    first, second = signer.sign(*request_), signer.sign(*request_)
    (signature,) = check.sign_reply(check.admit(request_[0], request_[1], headers_of(first)), status, body).values()
    signer.check_reply(first, status, signature, body)
    with pytest.raises(ForgedError):
        signer.check_reply(second, status, signature, body)
    if (status, body) != (other_status, other_body):
        with pytest.raises(ForgedError):
            signer.check_reply(first, other_status, signature, other_body)


@pytest.mark.parametrize(("token", "nonce"), [("fedcba9876543210", "ab"), ("0123456789abcdef", "cd")])
def test_another_token_or_another_rendezvous_makes_another_key(token, nonce):
    headers = headers_of(Signer(rendezvous_key(token, nonce)).sign("GET", "/", b""))
    with pytest.raises(ForgedError, match="carries no signature"):
        SignatureCheck(KEY).admit("GET", "/", headers)


@given(
    st.from_regex(r"[a-z0-9.\[\]:-]+", fullmatch=True),
    st.integers(0, 65535),
    st.from_regex(r"[0-9a-f]+", fullmatch=True),
)
def test_a_place_is_read_as_it_was_written(host, port, nonce):
    place = RendezvousPlace(host=host, port=port, nonce=nonce)
    assert RendezvousPlace.read(str(place)) == place


def test_no_two_nonces_are_the_same():
    assert len({new_nonce() for _ in range(100)}) == 100
