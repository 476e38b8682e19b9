"""What is asked: requests of the four forms as grouped batches, alone and joined.

=============  =======================================================================================================
form           body, as JSON parses it
=============  =======================================================================================================
``short``      ``{"user_id": "u17", "tags": ["a"], "candidates": [{"item_id": "i1"}, ...]}``, or a list of such objects
``values``     columns: the inputs of the SavedModel's signature ``values`` by name, each a list
``features``   columns: the lists of ``schema/record_format.py`` by name, and ``impressions_per_group``
``records``    a list of bytes: serialized ``tf.train.Example`` records, as ``esmm preprocess`` writes them
=============  =======================================================================================================
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from esmm_dist.arrays import F32, I64
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.serving.requests.found_rows import FoundByTable

RequestForm = Literal["short", "values", "features", "records"]


@dataclass(frozen=True, kw_only=True)
class AskedRequest:
    """One request, as what a model is asked."""

    batch: GroupedBatch
    """Its labels are all 0: nobody reads them"""
    several_users: bool
    """Whether it is a list of users, each of whom gets a list of scores"""
    unknown: Mapping[str, int] = field(default_factory=dict)
    """For each field how many values the request holds whose ids have no row in the model; those that are missing, and
    fields without such a value, are not counted"""
    found: FoundByTable = field(default_factory=dict)
    """For each table where rows of its ids lie; empty: they are to be looked up"""

    @property
    def candidates_of(self) -> I64:
        """Candidates of each user, int64 [G]."""
        return self.batch.impressions_per_group


class ReadsRequests(Protocol):
    """Reads requests as one model takes them: ``RequestReader``."""

    def read(self, form: RequestForm, body: Any) -> AskedRequest:
        """See ``read_request``."""


class HasReader(Protocol):
    """A model that requests are read for: ``ServedScorer``."""

    @property
    def reader(self) -> ReadsRequests:
        """Reads the model's requests."""


def read_request(form: RequestForm, body: Any, scorer: HasReader) -> AskedRequest:
    """Return what a request asks of a model.

    Args:
        form: form of the request
        body: what JSON says; bytes where the form has bytes
        scorer: the model

    Raises:
        BadRequestError: the request is wrong; the text names the place, and what to write
    """
    return scorer.reader.read(form, body)


def joined(requests: Sequence[AskedRequest]) -> GroupedBatch:
    """Return one batch of the users of several requests, read for the same model, in their order.

    Args:
        requests: one or more
    """
    if len(requests) == 1:
        return requests[0].batch
    batches = [request.batch for request in requests]
    return GroupedBatch(
        user_ids=np.concatenate([each.user_ids for each in batches]),
        user_lengths=np.concatenate([each.user_lengths for each in batches]),
        user_weights=_joined_weights([each.user_weights for each in batches]),
        impression_ids=np.concatenate([each.impression_ids for each in batches]),
        impression_lengths=np.concatenate([each.impression_lengths for each in batches]),
        impression_weights=_joined_weights([each.impression_weights for each in batches]),
        impressions_per_group=np.concatenate([each.impressions_per_group for each in batches]),
        sample_ids=np.concatenate([each.sample_ids for each in batches]),
        labels=np.concatenate([each.labels for each in batches]),
    )


def split_scores(scores: Mapping[str, F32], requests: Sequence[AskedRequest]) -> list[dict[str, F32]]:
    """Return the scores of each of the requests that were joined, as views.

    Args:
        scores: columns float32 [B] of the joined batch
        requests: the requests in their order
    """
    ends = np.cumsum([request.batch.num_impressions for request in requests]).tolist()
    begins = [0, *ends]
    return [
        {name: column[begin:end] for name, column in scores.items()} for begin, end in zip(begins, ends, strict=False)
    ]


def scores_of_users(scores: Mapping[str, F32], request: AskedRequest) -> list[dict[str, F32]]:
    """Return the scores of each user of one request, as views; a user without candidates has empty ones."""
    ends = np.cumsum(request.candidates_of).tolist()
    begins = [0, *ends]
    return [
        {name: column[begin:end] for name, column in scores.items()} for begin, end in zip(begins, ends, strict=False)
    ]


def _joined_weights(weights: Sequence[F32 | None]) -> F32 | None:
    """Return weights one after the other; requests of one model all have them, or none has."""
    given = [each for each in weights if each is not None]
    return np.concatenate(given) if given else None
