"""Whether a request asks for more than a server gives at once."""

from typing import Any

from esmm_dist.schema.value_inputs import IMPRESSIONS_PER_GROUP
from esmm_dist.serving.limits import RequestLimits
from esmm_dist.serving.requests.asked_request import AskedRequest, RequestForm, read_request
from esmm_dist.serving.requests.bad_request import BadRequestError
from esmm_dist.serving.scoring.snapshot import Snapshot


def read_within(limits: RequestLimits, form: RequestForm, body: Any, snapshot: Snapshot) -> AskedRequest:
    """Return what a request asks of a version.

    Args:
        limits: what a request may ask
        form: its form
        body: what its JSON says
        snapshot: the version

    Raises:
        BadRequestError: It is wrong, or asks for more than that.
    """
    _check_before(form, body, limits)
    asked = read_request(form, body, snapshot.scorer)
    _check_after(asked, limits)
    return asked


def _check_before(form: RequestForm, body: Any, limits: RequestLimits) -> None:
    """Refuse a request that says itself that it is too large, before it is read.

    Numbers in a request can say more than its bytes hold: ``"impressions_per_group": [1000000000000]``. Anything else
    that is wrong is left to the reading.

    Raises:
        BadRequestError: It has too many users or candidates.
    """
    users: list[Any] = []
    candidates = 0
    if form == "short":
        users = body if isinstance(body, list) else [body]
        lists = [each.get("candidates") for each in users if isinstance(each, dict)]
        candidates = sum(len(each) for each in lists if isinstance(each, list))
    elif form == "records":
        users = body
    elif isinstance(per_group := body.get(IMPRESSIONS_PER_GROUP), list):
        users = per_group
        candidates = sum(each for each in per_group if isinstance(each, int) and each > 0)
    _check(len(users), candidates, 0, limits)


def _check_after(asked: AskedRequest, limits: RequestLimits) -> None:
    """Refuse a request that is too large.

    Raises:
        BadRequestError: It has too many users, candidates or values.
    """
    batch = asked.batch
    values = len(batch.user_ids) + len(batch.impression_ids)
    _check(batch.num_groups, batch.num_impressions, values, limits)


def _check(users: int, candidates: int, values: int, limits: RequestLimits) -> None:
    for number, what, setting in (
        (users, "users", "max_users"),
        (candidates, "candidates", "max_impressions"),
        (values, "ids", "max_ids"),
    ):
        most = getattr(limits, setting)
        if number > most:
            flag = setting.replace("_", "-")
            raise BadRequestError(
                f"the request has {number} {what}; the server takes {most} a request (--{flag}). Send several requests"
            )
