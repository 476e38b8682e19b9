"""The name that a wrong one may have meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.near_names import near_names, nearest_hint

SETTINGS = ["dense_learning_rate", "embedding_learning_rate", "global_batch_records", "epochs", "hidden_units", "run"]


def test_a_name_that_is_near_none_gets_the_list():
    assert nearest_hint("zzz", ["b", "a"]) == " Known: a, b."
    assert nearest_hint("alpah", ["beta", "alpha"]) == " Did you mean 'alpha'? Known: alpha, beta."
    assert nearest_hint("x", []) == " Known: ."


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("epoch", ["epochs"]),  # by its letters
        ("learning_rate", ["dense_learning_rate", "embedding_learning_rate"]),  # by its words
        ("Learning-Rate", ["dense_learning_rate", "embedding_learning_rate"]),  # in any writing
        ("lr", ["dense_learning_rate", "embedding_learning_rate"]),  # as other systems say it
        ("batch_size", ["global_batch_records"]),
        ("num_layers", ["hidden_units"]),
        ("model_dir", ["run"]),
        ("max_of_every", []),  # words that say nothing
        ("xyzzy", []),
    ],
)
def test_names_near_a_wrong_one_are_found_by_letters_and_by_words(name, expected):
    assert near_names(name, SETTINGS) == expected


def test_at_most_four_names_are_offered():
    assert near_names("rate", [f"rate_{letter}x" for letter in "abcdef"]) == [
        "rate_ax",
        "rate_bx",
        "rate_cx",
        "rate_dx",
    ]


WORDS = st.lists(st.sampled_from(["row", "rate", "dim", "batch", "run"]), min_size=1, max_size=3).map("_".join)


@given(WORDS, st.sets(WORDS, max_size=6))
def test_what_is_offered_is_known_and_a_known_name_means_itself(name, known):
    found = near_names(name, known)
    assert set(found) <= known
    assert len(found) == len(set(found)) <= 4
    if name in known:
        assert found[0] == name or name in found


def test_an_earlier_name_means_what_the_setting_is_called_now():
    assert near_names("base_network", ["network", "share_network"]) == ["network"]
    assert near_names("base-network", ["network", "share-network"]) == ["network"]
    assert near_names("base_network", ["share_network"]) == ["share_network"]


def test_two_letters_in_the_wrong_order_are_nearer_than_another_letter():
    assert near_names("mpl", ["ple", "mlp"]) == ["mlp"]
    assert near_names("eppochs", ["epochs"]) == ["epochs"]


def test_the_beginning_of_names_with_numbers_means_these():
    assert near_names("escm", ["esmm", "escm2-ips", "escm2-dr"]) == ["escm2-dr", "escm2-ips"]


def test_a_name_of_millions_of_characters_is_like_none():
    """Once with each two neighbours swapped, it would fill the memory."""
    assert near_names("user_id" * 1_000_000, ["user_id"]) == []
