"""Check what the columns of a flat log are used for."""

from collections.abc import Sequence

from esmm_dist.errors import SchemaError
from esmm_dist.near_names import nearest_hint
from esmm_dist.schema.sources import FlatSource


def check_columns(source: FlatSource, labels: Sequence[str], fields: Sequence[str]) -> None:
    """Check that each label has a column, and that no column has two uses that exclude each other.

    Args:
        source: source of the schema
        labels: labels of the schema
        fields: names of the fields, which are their columns

    Raises:
        SchemaError: A label has no column, or a column that is another label, the sample id or a field too.
    """
    for label in source.labels:
        if label not in labels:
            raise SchemaError(
                f"source.labels names '{label}', which is not a label of the schema.{nearest_hint(label, labels)}"
            )
    label_of: dict[str, str] = {}
    for label in labels:
        column = source.labels.get(label)
        if column is None:
            raise SchemaError(f"source.labels names no column for label '{label}'. Add it.")
        if column in label_of:
            raise SchemaError(
                f"source.labels gives column '{column}' to '{label_of[column]}' and to '{label}'. Name two columns."
            )
        label_of[column] = label
    for field in fields:
        if field in label_of:
            raise SchemaError(
                f"field '{field}' is also the column of label '{label_of[field]}': the model would read the answer. "
                "Take it out of fields."
            )
        if field == source.sample_id:
            raise SchemaError(
                f"field '{field}' is also source.sample_id: it differs in every impression, so nothing can be "
                "learned from it. Take it out of fields."
            )
        if field == source.weight:
            raise SchemaError(
                f"field '{field}' is also source.weight: a number is not a category, and a weight often gives away the "
                "label. Take it out of fields."
            )
    if source.weight is not None and source.weight == source.sample_id:
        raise SchemaError(f"source.weight and source.sample_id both read column '{source.weight}'. Name two columns.")
    others = {
        "sample_id": source.sample_id,
        "weight": source.weight,
        "split": source.split.column if source.split is not None else None,
        "time": source.time,
    }
    for use, column in others.items():
        if column in label_of:
            raise SchemaError(
                f"source.{use} reads column '{column}', which is label '{label_of[column]}'. Name another column."
            )
