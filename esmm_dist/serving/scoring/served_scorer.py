"""The hot path: from the ids of requests to probabilities, with rows that are mapped from disk.

::

    ids of the users and candidates ─> unique ids by table ─> rows ──────────> pooled vectors ─> probabilities
    GroupedBatch                       LookupPlan.prepare     MappedTable.read  pool              ServedTowers

It is what ``inference.scoring.Scorer`` does with a store and a compiled forward pass, step by step.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from esmm_dist.arrays import F32, I64, Array
from esmm_dist.embedding.lookup import LookupPlan
from esmm_dist.embedding.pooling import pool, weight_norms
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.schema.value_ids import field_of_name
from esmm_dist.served_model.manifest import ServedManifest
from esmm_dist.served_model.mapped_model import MappedModel
from esmm_dist.serving.requests.found_rows import FoundByTable, known_places
from esmm_dist.serving.requests.request_reader import RequestReader
from esmm_dist.serving.scoring.served_towers import ServedTowers

_WARM_UP = ([1], [200], [50, 0, 150])
"""Candidates of each user of the requests that warm a scorer up."""


class ServedScorer:
    """A served model, ready to answer; a request is scored by the model that it was read for.

    It never changes and has no lock: any number of threads may call it.
    """

    def __init__(self, model: MappedModel, towers: ServedTowers, reader: RequestReader) -> None:
        """Use ``open``."""
        self.model = model
        self.reader = reader
        self._towers = towers
        manifest = model.manifest
        self._schema = manifest.schema
        self._columns = manifest.schema.label_tree.columns
        self._plan = LookupPlan(
            manifest.schema,
            seen_fields=[manifest.schema.field(name) for name in manifest.seen_fields],
            lists=manifest.lists,
            with_gradients=False,
        )

    @classmethod
    def open(
        cls, folders: Sequence[Path], *, verify: bool = True, like: "ServedScorer | None" = None
    ) -> "ServedScorer":
        """Map a served model, and load its networks.

        Args:
            folders: folder of a full version, then those of its deltas in their order
            verify: as ``MappedModel.open`` takes it
            like: scorer of another version, whose session is taken over if the networks have the same form

        Raises:
            ServedModelError: A file is missing or damaged, or one does not follow another.
        """
        model = MappedModel.open(folders, verify=verify)
        manifest = model.manifest
        reader = RequestReader(manifest.schema, model.tables, used=_used_fields(manifest))
        return cls(model, ServedTowers(model.towers, like=None if like is None else like._towers), reader)

    def with_delta(self, folder: Path, *, verify: bool = True) -> "ServedScorer":
        """Return a scorer of the model with a delta applied; this one goes on answering.

        They share rows, the ids of values, and the session of networks that have the same form.

        Args:
            folder: folder of the delta
            verify: as ``MappedModel.open`` takes it

        Raises:
            ServedModelError: A file is missing or damaged, or the delta belongs to another model.
        """
        model = self.model.with_delta(folder, verify=verify)
        towers = ServedTowers(model.towers, like=self._towers)
        return ServedScorer(model, towers, self.reader.with_rows(model.tables))

    def score(self, batch: GroupedBatch, found: Sequence[FoundByTable] = ()) -> dict[str, F32]:
        """Return the columns of ``esmm predict``, float32 [B], of one request or of several joined ones.

        Args:
            batch: the ids
            found: what was found of their rows when each request was read, for this model
        """
        if batch.num_impressions == 0:
            return {name: np.zeros(0, np.float32) for name in self._columns}
        lookups = self._plan.prepare(batch)
        manifest = self.model.manifest
        inputs: dict[str, Array] = {
            "group_of_impression": np.repeat(np.arange(batch.num_groups), batch.impressions_per_group),
            "num_groups": np.array(batch.num_groups, np.int64),
        }
        for number, table in enumerate(self._schema.tables):
            lookup = lookups[table]
            mapped = self.model.tables[table]
            places = known_places(mapped, lookup.ids, [part for each in found for part in each.get(table, ())])
            rows, _ = mapped.read(lookup.ids, places)
            inputs[f"pooled_{number}"] = pool(lookup, rows)
            if manifest.uses_norms:
                inputs[f"norms_{number}"] = weight_norms(lookup)
            for name, listed in lookup.lists.items():
                place = manifest.lists.index(name)
                inputs[f"list_lengths_{place}"], inputs[f"list_weights_{place}"] = listed.lengths, listed.weights
        scores = self._towers(inputs)
        return {name: scores[name] for name in self._columns}

    def warm_up(self) -> None:
        """Score made-up requests of several sizes, so that the first real one is not slow."""
        for candidates in _WARM_UP:
            self.score(self._made_up(np.array(candidates, np.int64)))

    def _made_up(self, candidates: I64) -> GroupedBatch:
        """Return a batch whose fields all have the id 0."""
        schema, impressions = self._schema, int(candidates.sum())
        users, own = len(candidates) * len(schema.user_fields), impressions * len(schema.impression_fields)
        return GroupedBatch(
            user_ids=np.zeros(users, np.int64),
            user_lengths=np.ones(users, np.int64),
            user_weights=None,
            impression_ids=np.zeros(own, np.int64),
            impression_lengths=np.ones(own, np.int64),
            impression_weights=None,
            impressions_per_group=candidates,
            sample_ids=np.arange(impressions),
            labels=np.zeros((impressions, len(schema.labels)), np.int64),
        )


def _used_fields(manifest: ServedManifest) -> list[str]:
    """Return the names of the fields that the model sees, and the export uses."""
    chosen = manifest.settings.get("fields")
    if not isinstance(chosen, list):
        return list(manifest.seen_fields)
    used = {field_of_name(manifest.schema, name).name for name in chosen}
    return [name for name in manifest.seen_fields if name in used]
