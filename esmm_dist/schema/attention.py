"""Which of a user's lists are attended to, and by which field of the impression: the item's category, say.

The schema says it (``Field.attended_by``), or the setting ``attend`` of a training does in its place. It changes
neither the records of a data set nor the rows of a table, only what some networks compute from them.
"""

from collections.abc import Mapping, Sequence

from esmm_dist.errors import ConfigError, SchemaError
from esmm_dist.near_names import nearest_hint
from esmm_dist.schema.field import Field


def check_attention(fields: Sequence[Field]) -> None:
    """Check that every ``attended_by`` stands on a list of the user and names a field of the impression.

    Raises:
        SchemaError: One does not.
    """
    by_name = {field.name: field for field in fields}
    for field in fields:
        if field.attended_by is not None:
            problem = _problem(field, field.attended_by, by_name)
            if problem:
                raise SchemaError(f"field '{field.name}': attended_by is '{field.attended_by}', {problem}")


def attended_lists(fields: Sequence[Field], attend: Sequence[str] = ()) -> dict[str, str]:
    """Return the name of the field that attends to each attended list, by the list's name, in the order of the fields.

    Args:
        fields: fields of a schema
        attend: texts ``LIST=FIELD`` that replace what the schema says; empty: what the schema says

    Raises:
        ConfigError: A text is malformed, or names what cannot be attended to, or cannot attend.
    """
    by_name = {field.name: field for field in fields}
    if not attend:
        return {field.name: field.attended_by for field in fields if field.attended_by is not None}
    found: dict[str, str] = {}
    for text in attend:
        name, equals, by = (part.strip() for part in text.partition("="))
        where = f"attend names '{text}'"
        if not (name and equals and by):
            raise ConfigError(f"{where}. Write LIST=FIELD: a list of the user, and the field that attends to it.")
        if name in found:
            raise ConfigError(f"{where}, and '{name}={found[name]}' before it. One field attends to a list: name one.")
        if name not in by_name:
            lists = [field.name for field in fields if field.owner == "user" and field.multi_hot]
            raise ConfigError(f"{where}, but '{name}' is not a list of the user.{nearest_hint(name, lists)}")
        problem = _problem(by_name[name], by, by_name)
        if problem:
            raise ConfigError(f"{where}, {problem}")
        found[name] = by
    return {field.name: found[field.name] for field in fields if field.name in found}


def _problem(attended: Field, by: str, fields: Mapping[str, Field]) -> str | None:
    """Return why a field cannot attend to another and what to do, to follow a comma; None if it can."""
    if attended.owner != "user" or not attended.multi_hot:
        what = f"owner {attended.owner}" if attended.owner != "user" else "one-hot"
        return (
            f"but '{attended.name}' is {what}: what is attended to is a list of the user. Name a field with "
            "owner: user and multi_hot: true."
        )
    attending = fields.get(by)
    if attending is None:
        near = nearest_hint(by, [field.name for field in fields.values() if field.owner != "user"])
        return f"but '{by}' is not a field.{near} Name a field of the impression (owner: item or context)."
    if attending.owner == "user":
        return (
            f"but the owner of '{by}' is user: it is the same for all impressions of a user. Name a field of the "
            "impression (owner: item or context)."
        )
    if attending.embedding_dim != attended.embedding_dim:
        dims = " and ".join(
            f"'{each.name}' has {'none' if each.embedding_dim is None else each.embedding_dim}"
            for each in (attended, attending)
        )
        return f"but their rows are compared column by column, and of embedding_dim {dims}. Set the same."
    return None
