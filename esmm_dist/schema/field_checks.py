"""Check that the fields of a schema go together."""

from collections.abc import Sequence

from esmm_dist.errors import SchemaError
from esmm_dist.near_names import nearest_hint
from esmm_dist.schema.field import Field


def check_flat_only(fields: Sequence[Field], *, is_flat: bool, has_time: bool = False) -> None:
    """Check that only a flat log, whose ids are hashes, has fields whose ids are computed from more than one value.

    Args:
        fields: fields of one schema
        is_flat: whether the log is a flat one
        has_time: whether it has a column of the time

    Raises:
        SchemaError: Another has; or a field is the hour or weekday of a time, and the log names none.
    """
    for field in fields:
        if field.of_time is not None and not has_time:
            name = "source.time names no column" if is_flat else "the Ali-CCP form has no time"
            raise SchemaError(
                f"field '{field.name}' is the {field.of_time} of the time (of_time), but {name}. "
                + ("Set source.time to the column of the time." if is_flat else "Leave it out.")
            )
        uses = {"numeric": field.numeric is not None, "cross": bool(field.cross), "missing: id": field.missing == "id"}
        for setting, used in uses.items():
            if used and not is_flat:
                raise SchemaError(
                    f"field '{field.name}' has {setting}, but the Ali-CCP form has its ids in the log. Leave it out, "
                    "or write the log as a flat one (source: {form: flat})."
                )


def check_crosses(fields: Sequence[Field]) -> None:
    """Check that the parts of every cross are one-hot columns, and that a user's cross has only the user's parts.

    Raises:
        SchemaError: One is not.
    """
    by_name = {field.name: field for field in fields}
    for field in fields:
        for name in field.cross:
            where, part = f"field '{field.name}': cross names '{name}'", by_name.get(name)
            if part is None:
                raise SchemaError(
                    f"{where}, which is not a field.{nearest_hint(name, set(by_name) - {field.name})} Add it to fields."
                )
            if part.cross:
                raise SchemaError(f"{where}, a cross itself. Name its parts: {', '.join(part.cross)}.")
            if part.multi_hot:
                raise SchemaError(f"{where}, which is multi_hot: it has no single value. Cross one-hot fields.")
            if field.owner == "user" and part.owner != "user":
                raise SchemaError(
                    f"{where}, whose owner is {part.owner}, but the owner of the cross is user: it differs between a "
                    f"user's impressions. Set owner: {part.owner}."
                )


def check_dims(fields: Sequence[Field]) -> None:
    """Check that all fields of a table have the same number of columns.

    Raises:
        SchemaError: Two have not.
    """
    first: dict[str, Field] = {}
    for field in fields:
        other = first.setdefault(field.table, field)
        if other.embedding_dim != field.embedding_dim:
            dims = " and ".join(
                f"'{each.name}' has {'none' if each.embedding_dim is None else each.embedding_dim}"
                for each in (other, field)
            )
            raise SchemaError(
                f"fields of table '{field.table}' have one embedding_dim, but {dims}. Set the same, or name another "
                "table for one of them."
            )


def check_id_spaces(fields: Sequence[Field], *, shares_values: bool) -> None:
    """Check that every ``ids_of`` names a field with ids of its own, in the same table.

    Args:
        fields: fields of one schema
        shares_values: whether equal values of two fields can have equal ids, as in a flat log

    Raises:
        SchemaError: One does not.
    """
    by_name = {field.name: field for field in fields}
    for field in fields:
        if field.ids_of is None:
            continue
        where, target = f"field '{field.name}': ids_of is '{field.ids_of}'", by_name.get(field.ids_of)
        if not shares_values:
            raise SchemaError(
                f"{where}, but the Ali-CCP form has its ids in the log: fields of one table share rows for equal ids. "
                "Leave ids_of out."
            )
        if target is None:
            raise SchemaError(
                f"{where}, which is not a field.{nearest_hint(field.ids_of, set(by_name) - {field.name})}"
            )
        if target is field:
            raise SchemaError(f"{where}, the field itself. Name another field, or leave ids_of out.")
        if not target.is_category:
            kind = "numeric: its ids are those of buckets" if target.numeric is not None else "a cross"
            kind = kind if target.of_time is None else f"the {target.of_time} of the time"
            raise SchemaError(f"{where}, which is {kind}. Name a field of categories, or leave ids_of out.")
        if target.ids_of is not None:
            raise SchemaError(
                f"{where}, which has no ids of its own. Set ids_of: {target.ids_of}, where they are from."
            )
        if target.table != field.table:
            raise SchemaError(
                f"{where}, whose table is '{target.table}', but table is '{field.table}' here: equal ids would have "
                f"two rows. Set table: {target.table}."
            )
