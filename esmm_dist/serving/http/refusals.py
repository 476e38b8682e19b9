"""A request that gets no scores: the status and the sentence that its sender reads."""

from collections.abc import Mapping
from http import HTTPStatus


class RefusedError(Exception):
    """Ends a request with a status other than 200; the text is the answer's ``error``."""

    def __init__(self, status: HTTPStatus, text: str, headers: Mapping[str, str] | None = None) -> None:
        """Refuse.

        Args:
            status: status of the answer
            text: what is wrong, where, and what to do
            headers: further headers of the answer
        """
        super().__init__(text)
        self.status, self.headers = status, dict(headers or {})
