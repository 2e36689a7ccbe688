"""The cards at the top: what they say, and that they say nothing they do not know."""

from __future__ import annotations

import math

import pytest
from evaluation_example import example_result, measured, ours, without_code

from bicyclegan.metrics.key_numbers import MAX_CARDS, KeyNumber, key_numbers


def cards(**fields: object) -> dict[str, KeyNumber]:
    return {card.title: card for card in key_numbers(example_result(**fields))}


def one(name: str, value: float, **fields: object) -> KeyNumber:
    """The card of a model of which nothing else was measured."""
    [card] = cards(checkpoint=ours(measurements=[measured(name, "any", value, **fields)])).values()
    return card


def test_a_working_model_shows_the_six_that_matter() -> None:
    found = cards()
    assert list(found) == ["Diversity", "Code recovered", "Active dims", "Faithfulness", "FID768", "KID768"]
    assert len(found) == MAX_CARDS
    assert (found["Diversity"].value, found["Diversity"].unit) == ("36 %", "of real photos")
    assert "differ by 0.421 (LPIPS), two samples of one sketch by 0.152" in found["Diversity"].sentence
    assert (found["Active dims"].value, found["Active dims"].unit) == ("6", "of 8")
    assert "0.798 is guessing" in found["Code recovered"].sentence
    assert "Real photos reach 0.830" in found["Faithfulness"].sentence
    assert "score 0.210" in found["Faithfulness"].sentence


@pytest.mark.parametrize(
    ("title", "share"),
    [
        ("Diversity", 0.1523 / 0.4212),
        ("Code recovered", 1 - 0.41 / 0.7979),
        ("Active dims", 6 / 8),
        ("Faithfulness", 0.713 / 0.83),
        ("FID768", 14.2 / 41.7),
    ],
)
def test_a_full_bar_is_the_best_there_can_be(title: str, share: float) -> None:
    assert cards()[title].share == pytest.approx(share)


def test_models_beside_it_show_the_same_number_where_they_have_it() -> None:
    found = cards()
    assert found["FID768"].others == [("pix2pix", "58.3")]
    assert found["Diversity"].others == []


def test_only_numbers_of_the_same_name_stand_beside_each_other() -> None:
    other = without_code(measurements=[measured("fid", "fid", 60.0)])
    assert cards(compared=[other])["FID768"].others == []


def test_a_model_without_code_gets_other_cards() -> None:
    found = cards(checkpoint=without_code(), compared=[])
    assert list(found) == ["Faithfulness", "FID768", "KID768", "Reconstruction", "Precision", "Recall"]
    assert "edges" in found["Reconstruction"].sentence
    assert "code" not in found["Reconstruction"].sentence


def test_diversity_without_a_ceiling_is_no_percentage() -> None:
    card = one("rgb_diversity", 0.08)
    assert (card.value, card.unit, card.share) == ("0.0800", "mean colour difference", None)


def test_fid_of_other_features_says_so() -> None:
    assert "than in papers" in one("fid768", 41.0).sentence
    assert "than in papers" not in one("fid", 41.0).sentence


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["latent_l1", "lpips_diversity_alex_v0.1", "edge_f1", "active_dims"])
def test_what_is_not_finite_draws_no_bar(name: str, value: float) -> None:
    card = one(name, value, references={"real_pairs": 0.4, "chance": 0.8})
    assert card.share is None
    assert card.value in ("not a number", "infinite")


def test_a_floor_at_or_below_zero_draws_no_bar() -> None:
    assert one("kid768", 0.01, references={"train_photos": -0.0001}).share is None


def test_nothing_measured_is_no_card() -> None:
    assert cards(checkpoint=ours(measurements=[])) == {}
