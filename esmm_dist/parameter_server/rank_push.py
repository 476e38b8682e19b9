"""One rank's push of a step, and the sum of those of all ranks."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from esmm_dist.arrays import F32
from esmm_dist.embedding.ticket import Ticket
from esmm_dist.kernels.sorted_ids import add_rows, places_in, union


@dataclass(frozen=True, kw_only=True)
class RankPush:
    """What a rank pushed to a table in a step, as it waits for the other ranks."""

    ticket: Ticket
    gradients: F32
    """float32 [U, D]"""
    impressions: int
    """Impressions of the whole step, over all ranks."""
    rate_factor: float


def sum_of(pushes: Sequence[RankPush]) -> RankPush:
    """Sum pushes of one step in rank order: the result does not depend on which came first."""
    first = pushes[0]
    if len(pushes) == 1:
        return first
    ids = functools.reduce(union, (push.ticket.ids for push in pushes))
    gradients = np.zeros((len(ids), first.gradients.shape[1]), dtype=np.float32)
    counts = None if first.ticket.counts is None else np.zeros(len(ids), dtype=np.int64)
    for push in pushes:
        places = places_in(ids, push.ticket.ids)
        add_rows(gradients, places, push.gradients)
        if counts is not None and push.ticket.counts is not None:
            counts[places] += push.ticket.counts  # a rank's ids are unique, so no place comes twice
    return replace(first, ticket=Ticket(table=first.ticket.table, ids=ids, counts=counts), gradients=gradients)
