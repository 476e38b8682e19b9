"""The edges of numeric fields that a schema leaves to the data: quantiles, which a data set's schema has."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from esmm_dist.schema.fields import Schema


def with_found_edges(schema: Schema, edges: Mapping[str, Sequence[float]]) -> Schema:
    """Return a schema whose numeric fields of these names have these edges."""
    fields = tuple(
        replace(field, numeric=replace(field.numeric, edges=tuple(edges[field.name])))
        if field.numeric is not None and field.name in edges
        else field
        for field in schema.fields
    )
    return replace(schema, fields=fields)


def with_edges_of(schema: Schema, other: Schema) -> Schema:
    """Return a schema that has the edges of another one where it has none and its buckets are the same.

    So the next day's numbers get the buckets that a model has learned, and a data set that is there already is compared
    by what its schema asked for.
    """
    known = {field.name: field.numeric for field in other.fields if field.numeric is not None}
    found: dict[str, Sequence[float]] = {}
    for field in schema.fields:
        theirs = known.get(field.name)
        if field.numeric is None or theirs is None or theirs.edges is None:
            continue
        if field.numeric.edges is None and field.numeric.buckets == theirs.buckets:
            found[field.name] = theirs.edges
    return with_found_edges(schema, found)
