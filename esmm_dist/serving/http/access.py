"""Who may ask: the token of a request, and what a page in a browser cannot send."""

import hmac
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from esmm_dist.serving.http.refusals import RefusedError

Headers = Iterable[tuple[bytes, bytes]]

_FORM = "application/x-www-form-urlencoded"


class TokenGuard:
    """Refuses requests without the server's token."""

    def __init__(self, token: str | None) -> None:
        """Remember the token; None: every request may pass."""
        self._expected = None if token is None else f"Bearer {token}".encode()

    def check(self, headers: Headers) -> None:
        """Let a request pass, before its body is read; the comparison takes the same time wherever the texts differ.

        Raises:
            RefusedError: It carries no token, more than one, or another one.
        """
        if self._expected is None:
            return
        given = [value for name, value in headers if name == b"authorization"]
        if len(given) != 1 or not hmac.compare_digest(given[0], self._expected):
            raise RefusedError(
                HTTPStatus.UNAUTHORIZED,
                "the request carries no token that this server accepts. Send its token as the header "
                "Authorization: Bearer TOKEN",
                {"WWW-Authenticate": "Bearer"},
            )


def check_body_type(headers: Mapping[str, str]) -> None:
    """Let a body pass that is JSON, or that no page in a browser has sent.

    A page that the user of a machine looks at can post text and forms to any port that the machine reaches, but JSON
    only where the server allows it, and this one never does. Programs may name no type, or that of a form, as
    ``curl -d`` does: browsers say where a form is from.

    Args:
        headers: headers of the request

    Raises:
        RefusedError: The body is of another type, or compressed.
    """
    if (coding := headers.get("content-encoding", "").strip()) and coding.lower() != "identity":
        raise RefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the body has Content-Encoding {coding[:40]!r}. Send it as it is",
            {"Accept-Encoding": "identity"},
        )
    given = headers.get("content-type", "")
    kind = given.partition(";")[0].strip().lower()
    if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        return
    from_browser = "origin" in headers or "sec-fetch-site" in headers
    if not from_browser and kind in ("", _FORM):
        return
    said = f"Content-Type {given[:60]!r}" if given else "no Content-Type"
    raise RefusedError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the body has {said}. Send JSON, with Content-Type: application/json"
    )
