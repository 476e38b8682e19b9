"""``esmm plan``: from settings to a plan."""

from dataclasses import replace
from pathlib import Path

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.errors import InputDataError
from esmm_dist.model.objectives.config import ObjectiveConfig
from esmm_dist.schema.field import DEFAULT_TABLE
from esmm_dist.schema.manifest import DatasetManifest, read_manifest
from launcher.command import CommandContext, Outcome
from launcher.plan.config import PlanConfig
from launcher.plan.constants import PlanConstants, read_constants
from launcher.plan.report import plan_lines, plan_mapping
from launcher.plan.step_time import Cluster
from launcher.plan.suggestion import PlanLimits, evaluate_cluster, suggest
from launcher.plan.unique_ids import PowerLawIds, count_ids
from launcher.plan.workload import Towers, Workload

_ALICCP_IDS_PER_USER = 610.0
_ALICCP_IDS_PER_IMPRESSION = 12.0
_ALICCP_FIELDS = 23
_GROUP_SIZE = 8.0
_LABELS = 2
_GB = 1e9


def plan_command(settings: PlanConfig, context: CommandContext) -> Outcome:
    """Say how large a training must be, how long it takes and what limits it."""
    constants = read_constants(settings.constants)
    workload = make_workload(settings, constants)
    cluster = make_cluster(settings)
    memory_bytes = settings.server_memory_gb * _GB
    given = PlanLimits(
        memory_bytes=memory_bytes, hours=settings.hours, workers=settings.workers, servers=settings.servers
    )
    planned = suggest(workload, cluster, constants, given)
    free = replace(given, workers=None, servers=None)
    if settings.workers is not None and settings.servers is not None:
        chosen = evaluate_cluster(workload, cluster, constants)
    else:
        chosen = planned.candidate
    suggestion = suggest(workload, cluster, constants, free)
    return Outcome(
        lines=plan_lines(workload, constants, chosen, suggestion, memory_bytes),
        result=plan_mapping(workload, constants, chosen, suggestion),
    )


def make_cluster(settings: PlanConfig) -> Cluster:
    """Return the cluster that the settings describe; one worker and no server where they name no number."""
    return Cluster(
        workers=settings.workers or 1,
        servers=settings.servers or 0,
        worker_cores=settings.worker_cores,
        server_cores=settings.server_cores,
        shared_cores=settings.shared_cores,
        network_gbps=settings.network_gbps,
        network_ms=settings.network_ms,
        wire_bytes=4 if settings.wire == "float32" else 2,
        update_mode=settings.update_mode,
    )


def make_workload(settings: PlanConfig, constants: PlanConstants) -> Workload:
    """Return the work that the settings describe.

    Raises:
        InputDataError: the data set cannot be read, or has no train split
    """
    log = _described_log(settings, constants) if settings.data is None else _counted_log(settings, settings.data)
    objective = ObjectiveConfig(objective=settings.objective, share_embeddings=settings.share_embeddings)
    labels = log.towers.labels
    embedding = EmbeddingConfig(
        embedding_dim=settings.dim,
        embedding_optimizer=settings.optimizer,
        row_slices=objective.row_slices(labels),
    )
    dim = embedding.dim_of(DEFAULT_TABLE)
    return replace(
        log,
        dim=dim,
        slot_columns=embedding.make_optimizer().slot_columns(dim),
        towers=replace(log.towers, labels=objective.num_heads(labels)),
    )


def _described_log(settings: PlanConfig, constants: PlanConstants) -> Workload:
    assert settings.impressions is not None
    assert settings.ids is not None
    ids_per_user = _ALICCP_IDS_PER_USER if settings.ids_per_user is None else settings.ids_per_user
    own_ids = _ALICCP_IDS_PER_IMPRESSION if settings.ids_per_impression is None else settings.ids_per_impression
    return Workload(
        impressions=settings.impressions,
        epochs=settings.epochs,
        batch_impressions=settings.batch_impressions,
        group_size=settings.group_size or _GROUP_SIZE,
        ids=settings.ids,
        ids_per_user=ids_per_user,
        ids_per_impression=own_ids,
        unique=PowerLawIds(
            ids=settings.ids, skew=constants.id_skew, ids_per_user=ids_per_user, ids_per_impression=own_ids
        ),
        dim=settings.dim,
        slot_columns=0,
        towers=_towers(settings, settings.fields or _ALICCP_FIELDS, settings.labels or _LABELS),
    )


def _counted_log(settings: PlanConfig, data: Path) -> Workload:
    manifest = read_manifest(data)
    train = manifest.splits.get("train")
    if train is None or not train.impressions:
        raise InputDataError(
            f"{data} has no train impressions, so there is nothing to plan for. Give the data set of a log with a "
            "train split, or leave --data out and set --impressions and --ids."
        )
    if not manifest.vocabulary_size:
        raise InputDataError(
            f"{data} has the ids of a run's rows and has counted none itself, so its batches cannot be planned. Leave "
            f"--data out and set --impressions {train.impressions} and --ids."
        )
    counted, ids_per_user, own_ids = count_ids(
        data / manifest.vocabulary_file, _user_fields(manifest), train.impressions
    )
    return Workload(
        impressions=settings.impressions or train.impressions,
        epochs=settings.epochs,
        batch_impressions=settings.batch_impressions,
        group_size=settings.group_size or train.impressions / train.records,
        ids=settings.ids or manifest.vocabulary_size,
        ids_per_user=ids_per_user if settings.ids_per_user is None else settings.ids_per_user,
        ids_per_impression=own_ids if settings.ids_per_impression is None else settings.ids_per_impression,
        unique=counted,
        dim=settings.dim,
        slot_columns=0,
        towers=_towers(
            settings, settings.fields or len(manifest.schema.fields), settings.labels or len(manifest.schema.labels)
        ),
    )


def _user_fields(manifest: DatasetManifest) -> frozenset[str]:
    return frozenset(field.name for field in manifest.schema.user_fields)


def _towers(settings: PlanConfig, fields: int, labels: int) -> Towers:
    return Towers(labels=labels, inputs=fields * settings.dim, hidden_units=settings.hidden_units)
