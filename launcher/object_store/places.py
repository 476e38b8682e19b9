"""Run a command that reads and writes files on copies of what lies in an object store."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from esmm_dist.storage.on_copies import on_copies
from launcher.command import Command, CommandContext, Outcome, own_rank


def run_on_copies(
    command: Command, uris: Mapping[str, str], settings: Callable[[Mapping[str, Path]], Any], context: CommandContext
) -> Outcome:
    """Copy what a command reads, run the command, and copy what it has written.

    Args:
        command: the command
        uris: its settings that name places in object stores
        settings: builds its settings with paths in the place of those
        context: is handed to the command; its progress shows the copies too

    Returns:
        The command's outcome, in which the copies' paths are replaced by the places that the user named.

    Raises:
        EsmmError: as ``on_copies``, and whatever the command raises
    """
    ranks = own_rank(command)[1]
    with on_copies(command.name, command.stored, uris, context.progress, ranks=ranks) as copies:
        outcome = command.run(settings(copies.paths), replace(context, progress=copies.progress))
    folders = [name for name, place in command.stored.items() if place.use == "write" and place.kind == "folder"]
    places = [copies.shown[str(copies.paths[name])] for name in folders if name in copies.paths]
    fetch = [f"To copy it to a disk: esmm copy {place} FOLDER" for place in places]
    return Outcome(
        lines=[*copies.with_places(outcome.lines), *fetch],
        result=copies.with_places(outcome.result),
        done=outcome.done,
    )
