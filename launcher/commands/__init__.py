"""One module per command. Each holds a ``COMMAND``; its work is imported only when the command runs."""

from launcher.command import Command
from launcher.commands import (
    agent,
    checkpoints,
    demo,
    doctor,
    driver,
    evaluate,
    export,
    local,
    predict,
    preprocess,
    scale,
    server,
    servers,
    status,
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
        status,
        scale,
        evaluate,
        predict,
        export,
        checkpoints,
        table,
        server,
        servers,
        agent,
        driver,
        doctor,
    )
}
"""By name, in the order of ``esmm --help``."""
