"""Compares what a model answers with its golden answers (``golden.py``), before it goes into service."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from esmm_dist.arrays import F32
from esmm_dist.errors import ServedModelError
from esmm_dist.serving.requests.asked_request import AskedRequest, read_request, scores_of_users
from esmm_dist.serving.requests.bad_request import BadRequestError
from esmm_dist.serving.scoring.served_scorer import ServedScorer
from esmm_dist.serving.versions.golden import REPAIR, golden_of
from esmm_dist.serving.versions.version_cache import ASSETS_FOLDER, GOLDEN_NAME


def self_check(scorer: ServedScorer, folder: Path) -> int:
    """Ask a model the golden requests of its version, those whose form needs no decoding; return how many.

    Args:
        scorer: the model
        folder: folder of the version

    Raises:
        ServedModelError: it refuses one, or an answer is not finite or not the expected one
    """
    golden = golden_of(folder)
    if golden is None:
        return 0
    compared = 0
    for asked in golden["requests"]:
        form = asked.get("form")
        if form not in ("short", "values"):
            continue
        where = f"{folder / ASSETS_FOLDER / GOLDEN_NAME}, request '{asked.get('name')}'"
        body = asked["request"] if form == "short" else asked["request"]["inputs"]
        try:
            request = read_request(form, body, scorer)
        except BadRequestError as e:
            raise ServedModelError(f"{where}: the model does not take it: {e} {REPAIR}") from e
        found = scorer.score(request.batch)
        expected = asked["answer"]["scores" if form == "short" else "outputs"]
        for name, column, wanted in _columns(found, expected, request):
            _compare(f"{where}: {name}", column, wanted, float(golden["tolerance"]))
        compared += 1
    return compared


def _columns(found: Mapping[str, F32], expected: Any, request: AskedRequest) -> list[tuple[str, F32, Any]]:
    """Return name, scores and expected scores of each column, of each user if there are several."""
    if not isinstance(expected, list):
        return [(name, found.get(name, np.zeros(0, np.float32)), wanted) for name, wanted in expected.items()]
    users = scores_of_users(found, request)
    return [
        (f"user {number}: {name}", of_user[name], wanted)
        for number, (of_user, wanted_of_user) in enumerate(zip(users, expected, strict=True))
        for name, wanted in wanted_of_user.items()
    ]


def _compare(where: str, found: F32, expected: Any, tolerance: float) -> None:
    wanted = np.asarray(expected, np.float64)
    if found.shape != wanted.shape:
        raise ServedModelError(f"{where}: {found.size} scores, not {wanted.size}. {REPAIR}")
    if not np.isfinite(found).all():
        raise ServedModelError(f"{where}: a score is {found[~np.isfinite(found)][0]}. {REPAIR}")
    wrong = np.abs(found - wanted) > tolerance * np.abs(wanted)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ServedModelError(
            f"{where}: score {at} is {float(found[at])!r}, not {float(wanted[at])!r}: the files do not belong to each "
            f"other. {REPAIR}"
        )
