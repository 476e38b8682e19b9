"""Refuse settings that nothing would read: those of an objective, or of networks, that a model does not have."""

from collections.abc import Mapping, Sequence
from typing import Any

from esmm_dist.errors import ConfigError
from esmm_dist.words import in_words


def refuse_unused(settings: Any, users_of: Mapping[str, Sequence[str]], setting: str, chosen: Sequence[str]) -> None:
    """Check that each setting that is not its default is read by something that was chosen.

    Args:
        settings: a settings class's instance
        users_of: for each such setting, the values of ``setting`` that read it
        setting: name of the setting that chooses
        chosen: its values, distinct

    Raises:
        ConfigError: A setting would be ignored.
    """
    for name, users in users_of.items():
        value, default = getattr(settings, name), type(settings).__dataclass_fields__[name].default
        if value == default or set(users) & set(chosen):
            continue
        shown = in_words(value) if isinstance(value, (list, tuple)) else value
        raise ConfigError(
            f"{name} is {shown}, which {in_words(users)} alone {'use' if users[1:] else 'uses'}, and {setting} is "
            f"{in_words(chosen)}. Leave {name} out, or set {setting} to {in_words(users, 'or')}."
        )
