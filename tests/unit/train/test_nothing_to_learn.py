"""Data that teaches a model nothing is refused with the reason, or warned of."""

import pytest

from esmm_dist.config import build
from esmm_dist.errors import InputDataError
from esmm_dist.progress import NoProgress
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from tests.support.tiny_dataset import Group, Impression, tiny_groups, write_dataset


class Messages(NoProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


def with_labels(groups: list[Group], *labels: int) -> list[Group]:
    return [
        Group(
            fields=group.fields,
            impressions=[Impression(sample_id=i.sample_id, labels=labels, fields=i.fields) for i in group.impressions],
        )
        for group in groups
    ]


def without_ids(groups: list[Group]) -> list[Group]:
    return [
        Group(
            fields=[[], []],
            impressions=[Impression(sample_id=i.sample_id, labels=i.labels, fields=[[], []]) for i in g.impressions],
        )
        for g in groups
    ]


def config(folder):
    settings = {
        "data": folder / "data",
        "run": str(folder / "run"),
        "input": {"global_batch_records": 8, "epochs": 1},
        "embedding": {"embedding_dim": 2},
        "model": {"hidden_units": [2]},
    }
    return build(TrainConfig, settings, where="test")


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        (
            with_labels(tiny_groups(16), 0, 0),
            r"Label 'click' is 0 in all \d+ train impressions, so there is nothing",
        ),
        (without_ids(tiny_groups(16)), r"No feature id is kept in the data set.*smaller --min-count"),
    ],
)
def test_training_on_data_without_a_click_or_an_id_is_refused(tmp_path, groups, reason):
    write_dataset(tmp_path / "data", {"train": groups})
    with pytest.raises(InputDataError, match=reason):
        train(config(tmp_path), NoProgress())


def test_training_on_data_without_a_conversion_is_warned_of(tmp_path):
    write_dataset(tmp_path / "data", {"train": with_labels(tiny_groups(4), 1, 0) + with_labels(tiny_groups(4), 0, 0)})
    progress = Messages()
    train(config(tmp_path), progress)
    assert any("Warning: Label 'conversion' is 0 in all" in text for text in progress.texts)
