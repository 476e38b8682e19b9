"""One module per command. Each holds a ``COMMAND``; its work is imported only when the command runs."""

from launcher.command import Command
from launcher.commands import (
    agent,
    cancel,
    checkpoints,
    copy,
    delete,
    demo,
    doctor,
    driver,
    evaluate,
    export,
    jobs,
    local,
    logs,
    predict,
    preprocess,
    resume,
    scale,
    server,
    servers,
    status,
    submit,
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
        submit,
        status,
        logs,
        scale,
        cancel,
        resume,
        delete,
        jobs,
        evaluate,
        predict,
        export,
        copy,
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
