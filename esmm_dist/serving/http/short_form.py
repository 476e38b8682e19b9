"""The answer in the server's own form: scores by prediction, for one user or for several.

::

    {"version": "3", "step": 1038, "scores": {"pctr": [0.03, ...], "pcvr": [...], "pctcvr": [...]}, "unknown_ids": {}}
    {"version": "3", "step": 1038, "scores": [{"pctr": [...], ...}, {"pctr": [...], ...}], "unknown_ids": {"tags": 2}}
"""

from esmm_dist.serving.http.answers import Answer, json_answer
from esmm_dist.serving.http.request_size import read_within
from esmm_dist.serving.http.scored_headers import scored_headers
from esmm_dist.serving.limits import RequestLimits
from esmm_dist.serving.requests.asked_request import AskedRequest, RequestForm, scores_of_users
from esmm_dist.serving.requests.bad_request import BadRequestError
from esmm_dist.serving.requests.json_text import json_of
from esmm_dist.serving.scoring.batching import Scored
from esmm_dist.serving.scoring.snapshot import Snapshot


class ShortForm:
    """Reads and answers a request of the form ``short``."""

    form: RequestForm = "short"

    def __init__(self, body: bytes, limits: RequestLimits) -> None:
        """Keep the request."""
        self._body, self._limits = body, limits

    def read(self, snapshot: Snapshot) -> AskedRequest:
        """Return what is asked.

        Raises:
            BadRequestError: The request is wrong.
        """
        try:
            value = json_of(self._body)
        except ValueError as e:
            raise BadRequestError(f"the body is not JSON: {e}") from e
        return read_within(self._limits, "short", value, snapshot)

    def write(self, scored: Scored) -> Answer:
        """Return the answer."""
        asked = scored.asked
        return json_answer(
            {
                "version": str(scored.snapshot.number),
                "step": scored.snapshot.scorer.model.manifest.step,
                "scores": scores_of_users(scored.scores, asked) if asked.several_users else scored.scores,
                "unknown_ids": dict(asked.unknown),
            },
            headers=scored_headers(scored),
        )
