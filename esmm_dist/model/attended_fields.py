"""Which lists the networks of a model attend to, checked before anything slow starts."""

from collections.abc import Sequence

from esmm_dist.errors import ConfigError
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.pooled_fields import FieldLayout
from esmm_dist.schema.attention import attended_lists, likely_attention
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.words import in_words


def attended_fields(schema: Schema, seen: Sequence[Field], config: ModelConfig, *, wanted: bool) -> dict[str, str]:
    """Return the name of the field that attends to each attended list, by the list's name; none unless wanted.

    Args:
        schema: schema of the data set
        seen: its fields that the model sees; what is not seen neither attends nor is attended to
        config: settings of the model
        wanted: whether a network wants lists

    Raises:
        ConfigError: Lists are wanted and there are none, or a setting of lists has no network that looks at it.
    """
    names = ", ".join(dict.fromkeys(config.network))
    if not wanted:
        for name in config.attention_settings:  # of one's own networks; those of this project are checked before
            raise ConfigError(
                f"{name} is {in_words(getattr(config, name))}, but no network here attends to lists (network: {names})."
                f" Set network: din, or leave out {name}."
            )
        return {}
    found = attended_lists(seen, config.attend)
    if not found:
        likely = " ".join(f"{name}={by}" for name, by in likely_attention(seen).items())
        remedy = f"Name them, as in --attend {likely}, or take" if likely else "It has none that could be; take"
        raise ConfigError(
            f"network {names} attends to lists of the user, but schema '{schema.name}' says of no list which field "
            f"attends to it (attended_by). {remedy} another network, such as --network mlp."
        )
    return found


def check_columns(layout: FieldLayout) -> None:
    """Check that a list and the field that attends to it have rows of one width.

    Raises:
        ConfigError: They have not.
    """
    for name, by in layout.attended.items():
        if layout.dim(name) != layout.dim(by):
            raise ConfigError(
                f"'{by}' attends to the list '{name}', but networks see {layout.dim(by)} columns of its rows and "
                f"{layout.dim(name)} of the list's. Set the same embedding_dim for both tables."
            )
