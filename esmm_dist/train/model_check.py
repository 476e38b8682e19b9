"""Check that the settings of a training fit a data set, before there is one."""

from esmm_dist.input.order import records_per_lane
from esmm_dist.input.users import BatchUsers
from esmm_dist.process.paused_collection import paused_collection
from esmm_dist.process.quiet import import_tfra
from esmm_dist.schema.manifest import DatasetManifest
from esmm_dist.train.chosen_settings import choose_settings
from esmm_dist.train.config import TrainConfig


def check_model(config: TrainConfig, manifest: DatasetManifest) -> None:
    """Make the model of a training as training does, and drop it: a few seconds, without rows or records.

    Args:
        config: settings as they were given
        manifest: manifest of the data set; of one that is not made yet, its schema, lanes and splits are enough

    Raises:
        ConfigError: the settings do not fit each other or the schema
    """
    chosen = choose_settings(config, manifest).config
    records_per_lane(manifest, chosen.input.global_batch_records or manifest.lanes)
    BatchUsers(manifest.schema, chosen.evaluation.gauc_field)
    import_tfra()
    with paused_collection():
        from esmm_dist.ranks.solo import SoloWorld
        from esmm_dist.train.compiled_model import compile_model
    compile_model(chosen, manifest.schema, SoloWorld())
