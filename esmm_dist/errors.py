"""All errors that the project raises on purpose.

::

    EsmmError
    ├── GiveUpError             trying again without a change cannot help
    │   ├── ConfigError         a setting, a flag or a combination of them
    │   ├── SchemaError         a schema file, or data that does not fit it
    │   ├── InputDataError      raw logs or records: unreadable, damaged, too many rejects
    │   ├── CheckpointError     a checkpoint that is damaged or missing
    │   │   └── CheckpointMismatchError   a whole one, of another model
    │   ├── ServedModelError    files of a served model that are damaged or missing, or a delta of another model
    │   ├── StackError          the machine: compiler, library, disk, memory
    │   ├── NumericalError      a loss or gradient that is not finite
    │   └── ServerError         a parameter server refuses: another run, other settings, no access
    ├── LeftError               this process has left its training, as it was asked to
    └── RetryError              the same call may succeed later (a lost connection)
        ├── StorageError        a disk or an object store refuses: full, read-only, not reachable
        └── LostError           a process of the run is lost: the others hold a new rendezvous
            ├── WorkerLostError      another rank has ended
            ├── ServerLostError      a server was started again, and has no rows
            └── GenerationOverError  the run has gone on without this process

A message says what is wrong (with the value), where (field, file, line, step), and what to do. The command line prints
it without a traceback and exits with the class's ``exit_status``.
"""


class EsmmError(Exception):
    """Base of every error that the project raises on purpose."""

    exit_status = 1


class GiveUpError(EsmmError):
    """Trying again without a change cannot help."""


class ConfigError(GiveUpError):
    """A setting is unknown, out of range, or contradicts another."""

    exit_status = 2


class SchemaError(GiveUpError):
    """A schema file is wrong, or data does not fit the schema."""


class InputDataError(GiveUpError):
    """Raw logs or records cannot be read, are damaged, or hold too many rejects."""


class CheckpointError(GiveUpError):
    """A checkpoint is damaged, missing, or does not fit."""


class CheckpointMismatchError(CheckpointError):
    """A checkpoint is whole but belongs to another model or other settings: an older one would not fit either."""


class ServedModelError(GiveUpError):
    """Files of a served model are damaged or missing, or a delta belongs to another model."""


class StackError(GiveUpError):
    """The machine or the installed stack lacks something: a compiler, a library, disk, memory."""


class NumericalError(GiveUpError):
    """A loss or a gradient is not finite."""


class ServerError(GiveUpError):
    """A parameter server refuses a call: it serves another run, with other settings, or the caller may not."""


class LeftError(EsmmError):
    """This process has left its training, as it was asked to; the others go on, or all is saved."""

    exit_status = 75  # EX_TEMPFAIL of sysexits.h: not done, and nothing wrong


class RetryError(EsmmError):
    """The same call may succeed later."""


class LostError(RetryError):
    """A process of the run is lost, so that this one cannot go on as before; started again, the run resumes."""


class WorkerLostError(LostError):
    """Another rank of the run has ended."""


class ServerLostError(LostError):
    """A parameter server does not hold the run: it was started again, and its rows are gone."""


class GenerationOverError(LostError):
    """The run has gone on under a newer generation, without this process."""


class StorageError(RetryError):
    """A disk or an object store refuses: full, read-only, without permission, or not reachable."""
