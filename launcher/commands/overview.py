"""What ``esmm --help`` prints."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from launcher.command import Command


def overview(commands: Mapping[str, Command], first_steps: Sequence[str]) -> str:
    """Return the help of ``esmm`` itself: first steps to type, then every command below its group's heading.

    Args:
        commands: all commands by name; those of a group follow each other
        first_steps: names of the commands whose examples stand on top
    """
    width = max(len(name) for name in commands)
    lines = [
        "usage: esmm COMMAND [FLAGS]",
        "",
        "Train the Entire Space Multi-Task Model (pCTR, pCVR, pCTCVR) on click logs.",
        "",
        "First steps:",
        *(f"  {commands[name].example}" for name in first_steps),
    ]
    for group, members in groupby(commands.values(), key=lambda command: command.group):
        lines += ["", f"{group}:", *(f"  {each.name:<{width}}  {each.summary}" for each in members)]
    return "\n".join(
        [
            *lines,
            "",
            "  --version  Print the versions of the stack (with --json as one line).",
            "",
            "esmm COMMAND --help shows a command's settings.",
        ]
    )
