"""Schemas and manifests of small data sets that were never written."""

from esmm_dist.schema import Field, FlatSource, Schema
from esmm_dist.schema.manifest import DataFile, DatasetManifest, Shard, Split

SHOP = Schema(
    name="shop",
    labels=("click", "order"),
    fields=(
        Field(name="user", owner="user"),
        Field(name="history", owner="user", multi_hot=True, ids_of="item"),
        Field(name="item", alias="the item", owner="item"),
    ),
    source=FlatSource(form="flat", files={"train": "a.csv"}, labels={"click": "clicked", "order": "bought"}),
)


def split(impressions: int, clicks: int, orders: int, shards: tuple[Shard, ...] = ()) -> Split:
    return Split(
        records=impressions,
        impressions=impressions,
        label_counts={"click": clicks, "order": orders},
        broken_chains={"order": 0},
        shards=shards,
    )


def shard(path: str, lane: int = 0) -> Shard:
    return Shard(path=path, lane=lane, part=0, records=1, impressions=1, file_bytes=3, crc32c=4)


def data_set(splits: dict[str, Split], vocabulary_size: int = 5, **more: object) -> DatasetManifest:
    return DatasetManifest(
        schema=SHOP,
        compression="ZLIB",
        lanes=1,
        group_size=1,
        splits=splits,
        vocabulary_file="vocabulary.parquet",
        vocabulary_size=vocabulary_size,
        other_files=(DataFile(path="vocabulary.parquet", file_bytes=1, crc32c=2),),
        **more,  # type: ignore[arg-type]
    )
