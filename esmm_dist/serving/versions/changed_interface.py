"""What clients notice of a new version beside its scores: other inputs, other columns of scores."""

from collections.abc import Mapping

from esmm_dist.schema.fields import Schema
from esmm_dist.serving.requests.input_names import InputNames


def changed_interface(before: Schema, after: Schema) -> str:
    """Return what differs in the requests and answers of two versions, in a part of a sentence; empty: nothing.

    Args:
        before: schema of the version that answered
        after: schema of the one that answers now
    """
    old, new = _inputs(before), _inputs(after)
    old_columns, new_columns = before.label_tree.columns, after.label_tree.columns
    parts = (
        ("new inputs", [name for name in new if name not in old]),
        ("inputs that are gone", [name for name in old if name not in new]),
        ("inputs of another kind", [name for name in new if name in old and old[name] != new[name]]),
        ("new scores", [name for name in new_columns if name not in old_columns]),
        ("scores that are gone", [name for name in old_columns if name not in new_columns]),
    )
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts if names)


def _inputs(schema: Schema) -> Mapping[str, tuple[object, ...]]:
    """Return the kind of each input by its name: whether of the user, a list, a number, an id, a weight."""
    names = InputNames(schema)
    numbers = {field.name for field in schema.fields if field.numeric is not None}
    return {
        key: (
            each.role,
            each.of_user,
            each.column in names.multi_hot,
            each.column in numbers,
            schema.flat_source is None,
        )
        for key, each in names.exact.items()
        if each.role != "lengths"
    }
