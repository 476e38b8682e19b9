"""Which of a user's lists are attended to, and by which field of the impression: the item's category, say.

The schema says it (``Field.attended_by``), or the setting ``attend`` of a training does in its place. It changes
neither the records of a data set nor the rows of a table, only what some networks compute from them.
"""

from collections.abc import Mapping, Sequence

from esmm_dist.errors import ConfigError, SchemaError
from esmm_dist.near_names import nearest_hint
from esmm_dist.schema.field import Field

_ALICCP = {"109_14": "206", "110_14": "207", "127_14": "216", "150_14": "210"}


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
        attend: texts ``LIST=FIELD``, of names or aliases, that stand in the place of what the schema says; empty: what
            the schema says

    Raises:
        ConfigError: A text is malformed, or names what cannot be attended to, or cannot attend.
    """
    by_name = {field.name: field for field in fields}
    if not attend:
        return {f.name: f.attended_by for f in fields if f.attended_by is not None and f.attended_by in by_name}
    aliases = [field.alias for field in fields]
    names = {field.alias: field.name for field in fields if aliases.count(field.alias) == 1} | {n: n for n in by_name}
    found: dict[str, str] = {}
    for text in attend:
        name, equals, by = (part.strip() for part in text.partition("="))
        where = f"attend names '{text}'"
        if not (name and equals and by):
            raise ConfigError(f"{where}. Write LIST=FIELD: a list of the user, and the field that attends to it.")
        name, by = names.get(name, name), names.get(by, by)
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


def likely_attention(fields: Sequence[Field]) -> dict[str, str]:
    """Return lists of the user and the fields that may be meant to attend to them, for a message.

    Args:
        fields: fields of a schema that says nothing of attention

    Returns:
        For Ali-CCP what its shipped schemas say; otherwise each list whose ids are those of a field of the impression
        (``ids_of``) and that field; otherwise the first list and the first field that fit. Empty: there is no list.
    """
    by_name = {field.name: field for field in fields}
    lists = [field for field in fields if field.owner == "user" and field.multi_hot]
    others = [field.name for field in fields if field.owner != "user"]
    for by_list in (_ALICCP, {field.name: field.ids_of for field in lists if field.ids_of is not None}):
        found = {name: by for name, by in by_list.items() if name in by_name and by in others}
        if found:
            return found
    fitting = [(each.name, by) for each in lists for by in others if _problem(each, by, by_name) is None]
    return dict(fitting[:1])


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
