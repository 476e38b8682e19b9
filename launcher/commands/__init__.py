"""One module per command. Each holds a ``COMMAND``; its work is imported only when the command runs."""

from launcher.command import Command
from launcher.commands import (
    agent,
    checkpoints,
    demo,
    doctor,
    evaluate,
    local,
    predict,
    preprocess,
    server,
    servers,
    synth,
    table,
    train,
)

COMMANDS: dict[str, Command] = {
    module.COMMAND.name: module.COMMAND
    for module in (
        demo,
        synth,
        preprocess,
        train,
        local,
        evaluate,
        predict,
        checkpoints,
        table,
        server,
        servers,
        agent,
        doctor,
    )
}
"""By name, in the order of ``esmm --help``."""
