"""Which known name a wrong one may have meant, for errors about settings, fields, columns and commands."""

import difflib
import re
from collections.abc import Iterable

_MOST_NEAR = 4
_LONGEST_NAME = 200
"""Characters of a wrong name that is compared with others: the name may come from a request, and have millions."""
_SYNONYMS = {
    **{"lr": ("learning", "rate"), "bs": ("batch", "records"), "size": ("records",), "dimension": ("dim",)},
    **{"layers": ("hidden", "units"), "optimiser": ("optimizer",), "output": ("out",), "input": ("data",)},
    **{"dataset": ("data",), "model": ("run",), "ps": ("servers",), "num": (), "dir": (), "path": (), "file": ()},
}
"""Words of other systems for those of the settings here; words that say nothing are left out."""
_EARLIER_NAMES = {"base_network": "network"}
"""What settings were called before."""
_NO_WORDS = {"", "s", "of", "the", "every", "max", "min", "no"}


def nearest_hint(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'? ..." for an unknown name, or the list of known names if none is near."""
    names = sorted(known)
    near = " or ".join(f"'{each}'" for each in near_names(name, names))
    hint = f" Did you mean {near}?" if near else ""
    return f"{hint} Known: {', '.join(names)}."


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that a wrong one may have meant: by its letters, else up to four by its words.

    Nearest by its letters is one with two neighbours swapped, then those that go on with a number or sign (``escm``:
    ``escm2-dr``). Other systems say ``learning-rate``, ``batch-size`` or ``lr`` for what here has a longer name.

    Args:
        name: as typed, with words joined by ``-`` or ``_``
        known: names that would be right
    """
    if len(name) > _LONGEST_NAME:
        return []
    names = sorted(known)
    if (now := _EARLIER_NAMES.get(name.replace("-", "_"))) is not None and now in names:
        return [now]
    swapped = {f"{name[:at]}{name[at + 1]}{name[at]}{name[at + 2 :]}" for at in range(len(name) - 1)}
    if exact := sorted(swapped & set(names)):
        return exact
    begun = [each for each in names if len(name) > 2 and re.match(rf"{re.escape(name)}[^a-zA-Z_-]", each)]
    if begun:
        return begun[:_MOST_NEAR]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near and not (_words(name) < _words(near[0])):
        return near
    shared = {each: len(_words(name) & _words(each)) for each in names}
    most = max(shared.values(), default=0)
    return [each for each in names if shared[each] == most][:_MOST_NEAR] if most else near


def _words(name: str) -> set[str]:
    """Return the words of a setting's name, each as settings here say it."""
    return {each for word in re.split("[-_. ]+", name.lower()) for each in _SYNONYMS.get(word, (word,))} - _NO_WORDS
