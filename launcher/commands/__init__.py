"""One module per command. Each holds a ``COMMAND``; its work is imported only when the command runs."""

from launcher.command import Command
from launcher.commands import checkpoints, demo, doctor, evaluate, predict, preprocess, server, synth, table, train

COMMANDS: dict[str, Command] = {
    module.COMMAND.name: module.COMMAND
    for module in (demo, synth, preprocess, train, evaluate, predict, checkpoints, table, server, doctor)
}
"""By name, in the order of ``esmm --help``."""
