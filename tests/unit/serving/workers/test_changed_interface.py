"""What is said of a new version whose requests or answers are others than those of the version before."""

import pytest

from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.numeric import Numeric
from esmm_dist.schema.sources import FlatSource
from esmm_dist.serving.metrics import ServingMetrics
from esmm_dist.serving.versions.changed_interface import changed_interface
from esmm_dist.serving.versions.loaded_versions import LoadedVersions
from esmm_dist.serving.versions.offered_version import OfferedVersion
from esmm_dist.serving.versions.version_loading import VersionLoading
from tests.support.served_versions import brand_added, rows_of, write_answering

USER, ITEM = Field(name="user", owner="user"), Field(name="item", owner="item")
TAGS = Field(name="tags", owner="user", multi_hot=True, weighted=True)


def schema(*fields: Field, labels: tuple[str, ...] = ("click", "buy"), ids: bool = False) -> Schema:
    """Return the schema of a flat log, or of one that has ids."""
    if ids:
        return Schema(name="shop", labels=labels, fields=(USER, *fields))
    source = FlatSource(form="flat", files={"train": "t.csv"}, labels={name: name for name in labels})
    return Schema(name="shop", labels=labels, fields=(USER, *fields), source=source)


BEFORE = schema(ITEM, TAGS)


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (schema(TAGS, ITEM), ""),
        (schema(ITEM, TAGS, Field(name="b", owner="item"), Field(name="a", owner="item")), "new inputs: b, a"),
        (schema(ITEM), "inputs that are gone: tags, tags_weights"),
        (schema(ITEM, Field(name="tags", owner="user", multi_hot=True)), "inputs that are gone: tags_weights"),
        (schema(ITEM, Field(name="tags", owner="user", weighted=True)), "inputs of another kind: tags, tags_weights"),
        (
            schema(ITEM, Field(name="tags", owner="item", multi_hot=True, weighted=True)),
            "inputs of another kind: tags, tags_weights",
        ),
        (
            schema(TAGS, Field(name="item", owner="item", numeric=Numeric(buckets=(1.0,)))),
            "inputs of another kind: item",
        ),
        (schema(ITEM, TAGS, ids=True), "inputs of another kind: user, item, tags, tags_weights"),
        # A cross is computed from what requests have already
        (schema(ITEM, TAGS, Field(name="user x item", owner="item", cross=("user", "item"))), ""),
        (
            schema(ITEM, TAGS, labels=("click", "cart", "buy")),
            "new scores: p_click, p_cart_given_click, p_cart, p_buy_given_cart, p_buy; "
            "scores that are gone: pctr, pcvr, pctcvr",
        ),
        (schema(TAGS, Field(name="thing", owner="item")), "new inputs: thing; inputs that are gone: item"),
    ],
)
def test_what_clients_notice_is_named(after, text):
    assert changed_interface(BEFORE, after) == text


def test_a_version_that_is_loaded_is_compared_with_the_one_in_service(tmp_path):
    write_answering(tmp_path, "1", rows_of(1))
    write_answering(tmp_path, "2", rows_of(1), schema=brand_added())
    loading = VersionLoading(LoadedVersions(), ServingMetrics())
    offers = [
        OfferedVersion(name=name, number=int(name), folders=(tmp_path / name,), identities=(name,)) for name in "121"
    ]
    found = [loading.load(offered, check=False)["changed"] for offered in offers]
    assert found == ["", "new inputs: brand", "inputs that are gone: brand"]
