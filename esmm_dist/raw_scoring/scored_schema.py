"""The part of a schema that rows without labels are read by."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from esmm_dist.errors import SchemaError
from esmm_dist.schema.differences import record_differences
from esmm_dist.schema.edges import with_edges_of
from esmm_dist.schema.fields import Schema
from preprocess.read.flat.column_types import without_views
from preprocess.read.flat.header import check_columns, check_types, columns_scored


def scored_schema(model: Schema, own: Schema | None = None) -> Schema:
    """Return the schema that rows are read by: fields, their edges and separators, and the column of the sample id.

    Columns that only a training needs are left out: sample weights, kept texts, and what cuts a log into splits.

    Args:
        model: schema of the model
        own: another schema of the same fields, such as one with other separators; None: the model's

    Raises:
        SchemaError: The fields or labels are not the model's, or it is no schema of a flat log.
    """
    schema = model if own is None else with_edges_of(own, model)
    differences = record_differences(schema, model, before_is="the model has")
    if differences:
        raise SchemaError(
            f"Schema '{schema.name}' is not that of the model ('{model.name}'): {'; '.join(differences)}. Leave it out "
            "to use the model's own, or give the fields and labels that the model has."
        )
    source = schema.flat_source
    if source is None:
        raise SchemaError(
            f"Schema '{schema.name}' has the Ali-CCP form, whose impressions stand in two files that are joined. A "
            "single table cannot hold them: score the folder of both files, with esmm predict --raw."
        )
    return replace(schema, source=replace(source, weight=None, keep=(), split=None))


def check_table(where: Path | str, types: pa.Schema, schema: Schema, keep: Iterable[str] = ()) -> None:
    """Check that a table has the columns that scoring reads, in types that it can read.

    Args:
        where: the file, or words that stand for a table in memory
        types: the table's columns
        schema: from ``scored_schema``
        keep: columns that are written beside the scores

    Raises:
        SchemaError: A column is missing, is there twice, or has another type.
    """
    read = columns_scored(schema)
    check_columns(where, types.names, {**dict.fromkeys(keep, "keep"), **read})
    check_types(where, types, schema, read)


def readable_table(table: pa.Table) -> pa.Table:
    """Return a table without views of texts and bytes, which many of Arrow's functions lack."""
    return table.cast(pa.schema([each.with_type(without_views(each.type)) for each in table.schema]))
