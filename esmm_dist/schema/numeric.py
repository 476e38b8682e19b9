"""Numeric fields: which numbers share a feature id.

A number's bucket is how many edges are at most it, so that n edges make n + 1 buckets, 0 .. n. Edges and numbers are
float64 everywhere, so that preprocess, a data set of another day and an exported model agree to the last bit.
"""

import decimal
import math
import re
from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import F64, I64
from esmm_dist.errors import SchemaError
from esmm_dist.schema.feature_id import feature_id

MOST_EDGES = 4095
LEAST_NUMBER = float(np.finfo(np.float64).tiny)
"""Numbers nearer to 0 than this one, 2.2e-308, are 0, as they are to TensorFlow."""

_RULE = re.compile(r"(quantile|log)(?: +([1-9][0-9]{0,3}))?", re.ASCII)
_LOG_LEAST, _LOG_MOST = -20, 40  # powers of 2 of the smallest and largest edge of "log"
_MOST_A_DOUBLING = 16


@dataclass(frozen=True, kw_only=True)
class Numeric:
    """How the numbers of a field become buckets."""

    buckets: str | tuple[float, ...]
    """``quantile N``: N buckets that hold equally many values of the train split, as far as values do not repeat.
    ``log``: an edge at each power of 2 from 2^-20 to 2^40, at 0, and at their negatives; ``log N``: N edges for each
    doubling. ``[18, 25, 35]``: these edges; 25 is in the bucket that begins there."""

    edges: tuple[float, ...] | None = None
    """The edges, ascending: what ``buckets`` gives. None: quantiles that preprocess has yet to find; it puts them into
    the schema of the data set."""

    def __post_init__(self) -> None:
        if isinstance(self.buckets, str):
            self._check_rule(self.buckets)
            if self.edges is None and not self.is_quantile:
                object.__setattr__(self, "edges", _log_edges(self._number or 1))
        elif self.edges is None:
            object.__setattr__(self, "edges", self.buckets)
        elif self.edges != self.buckets:
            raise SchemaError(
                f"edges {list(self.edges)} are not those of buckets {list(self.buckets)}. Leave out edges."
            )
        self._check_edges()

    @property
    def is_quantile(self) -> bool:
        """Whether the edges are quantiles of the train split."""
        return isinstance(self.buckets, str) and self.buckets.startswith("quantile")

    @property
    def num_quantiles(self) -> int:
        """N of ``quantile N``."""
        assert self._number is not None  # checked
        return self._number

    def of(self, values: F64) -> I64:
        """Return the bucket of each number, int64 [N].

        Args:
            values: float64 [N]; NaN has no bucket, and what is returned for it means nothing
        """
        return np.searchsorted(self._found_edges, without_tiny(values), side="right").astype(np.int64)

    def ids(self, field: str) -> I64:
        """Return the feature id of each bucket of a field, int64 [edges + 1]: that of its number."""
        return np.array([feature_id(field, bucket) for bucket in range(len(self._found_edges) + 1)], np.int64)

    def shown(self, bucket: int) -> str:
        """Return a bucket as an interval, such as ``[18, 25)``."""
        ends = [-math.inf, *self._found_edges, math.inf]
        return f"[{ends[bucket]:.15g}, {ends[bucket + 1]:.15g})"

    @property
    def _found_edges(self) -> tuple[float, ...]:
        if self.edges is None:
            raise SchemaError(
                f"buckets are '{self.buckets}', and the edges are not known yet: only a data set's schema has them."
            )
        return self.edges

    @property
    def _number(self) -> int | None:
        found = _RULE.fullmatch(self.buckets) if isinstance(self.buckets, str) else None
        return int(found[2]) if found is not None and found[2] is not None else None

    def _check_rule(self, rule: str) -> None:
        found = _RULE.fullmatch(rule)
        if found is None or (found[1] == "quantile" and found[2] is None):
            raise SchemaError(
                f"buckets are '{rule}'. Write quantile N (such as quantile 32), log, log N, or a list of edges such as "
                "[18, 25, 35]."
            )
        least, most = (2, MOST_EDGES + 1) if found[1] == "quantile" else (1, _MOST_A_DOUBLING)
        if found[2] is not None and not least <= int(found[2]) <= most:
            raise SchemaError(f"buckets are '{rule}'. Set {found[1]} {least} .. {found[1]} {most}.")

    def _check_edges(self) -> None:
        edges = self.edges or ()
        if not isinstance(self.buckets, str) and not edges:
            raise SchemaError("buckets is an empty list. Name at least one edge, or write quantile 32 or log.")
        if len(edges) > MOST_EDGES:
            raise SchemaError(f"buckets has {len(edges)} edges. Use at most {MOST_EDGES}.")
        if not all(map(math.isfinite, edges)):
            raise SchemaError(f"edges {list(edges)} are not all finite numbers. The first and last bucket have no end.")
        tiny = [edge for edge in edges if 0 < abs(edge) < LEAST_NUMBER]
        if tiny:
            raise SchemaError(f"buckets has edge {tiny[0]}, which is taken for 0. Write 0, or {LEAST_NUMBER} or more.")
        wrong = next((k for k in range(1, len(edges)) if not edges[k - 1] < edges[k]), None)
        if wrong is not None:
            raise SchemaError(
                f"buckets has edge {edges[wrong]:.15g} after {edges[wrong - 1]:.15g}. Write the edges in ascending "
                "order, each once."
            )


def without_tiny(values: F64) -> F64:
    """Return numbers with 0 for those below ``LEAST_NUMBER``, float64 [N]."""
    return np.where(np.abs(values) < LEAST_NUMBER, 0.0, values)


def _log_edges(number: int) -> tuple[float, ...]:
    """Return the edges of ``log N``: 2^(k / N), 0, and the negatives; the same bits on every machine."""
    with decimal.localcontext(prec=40):
        roots = [float(decimal.Decimal(2) ** (decimal.Decimal(k) / number)) for k in range(number)]
    powers = [math.ldexp(root, k) for k in range(_LOG_LEAST, _LOG_MOST) for root in roots]
    powers.append(math.ldexp(1.0, _LOG_MOST))
    return (*(-power for power in reversed(powers)), 0.0, *powers)
