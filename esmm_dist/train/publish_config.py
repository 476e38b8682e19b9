"""The settings of a training that publishes its model while it goes on."""

from dataclasses import dataclass

from esmm_dist.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class PublishConfig:
    """Versions for ``esmm serve`` that a training writes while it goes on."""

    publish: str | None = None
    """Folder of a served model's versions, a path or a URI such as ``s3://bucket/models``: what ``esmm serve`` is
    given. The training's newest checkpoint becomes a version there, by a process of its own, at the end and every
    publish_every_steps. None: nothing is published."""

    publish_every_steps: int = 0
    """Steps between two versions; each of these steps has a checkpoint, too. 0: only the end of the training is
    published."""

    publish_full_every: int = 10
    """Every so many versions one is full, the others are deltas: rows that have changed since the version before.
    1: all are full. Ten, so that a server that starts reads one full version and nine deltas at the most."""

    publish_keep: int = 3
    """Newest versions to keep, 1 or more. Versions that their deltas build on, and the one that is in service, stay as
    long as they are needed. Three, so that a server that is behind still finds what it is about to read."""

    def __post_init__(self) -> None:
        if self.publish is not None and not self.publish.strip():
            raise ConfigError("publish is empty. Give the folder or URI of the versions, or leave it out.")
        if self.publish_every_steps < 0:
            raise ConfigError(f"publish_every_steps is {self.publish_every_steps}. Set 0 or more.")
        if self.publish_full_every < 1:
            raise ConfigError(f"publish_full_every is {self.publish_full_every}. Set 1 (all versions full) or more.")
        if self.publish_keep < 1:
            raise ConfigError(f"publish_keep is {self.publish_keep}. Keep at least 1.")
        if self.publish_every_steps and self.publish is None:
            raise ConfigError(
                f"publish_every_steps is {self.publish_every_steps}, and publish names no folder. Say where the "
                "versions go (--publish MODELS), or set publish_every_steps to 0."
            )
