"""What ``esmm --help`` prints."""

from launcher.command import Command
from launcher.commands.overview import overview


def command(name, group):
    return Command(name=name, group=group, summary=f"Do {name}.", example=f"esmm {name} x", settings="a:b", work="a:c")


def test_first_steps_come_first_then_each_group_with_its_commands():
    commands = {name: command(name, group) for name, group in [("read", "Data"), ("mix", "Data"), ("longer", "Train")]}
    lines = overview(commands, ["longer", "read"]).splitlines()
    assert lines[0] == "usage: esmm COMMAND [FLAGS]"
    start = lines.index("First steps:")
    assert lines[start + 1 : start + 4] == ["  esmm longer x", "  esmm read x", ""]
    assert lines[start + 4 : start + 10] == [
        "Data:",
        "  read    Do read.",  # as wide as the longest name
        "  mix     Do mix.",
        "",
        "Train:",
        "  longer  Do longer.",
    ]
    assert lines[-1] == "esmm COMMAND --help shows a command's settings."
