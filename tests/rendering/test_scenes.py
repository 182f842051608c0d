"""Decks and tables of the rendered recordings."""

import numpy as np
import pytest

from cardpose.rendering.scenes import household_number, random_scene

COUNTS = range(1, 53)


def numbers(seed, item):
    return [household_number(seed, item, cards) for cards in COUNTS]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("item", ["deck", "table"])
def test_each_deck_and_table_occurs_in_every_quarter_of_the_counts(item, seed):
    for quarter in np.array_split(numbers(seed, item), 4):
        assert sorted(quarter) == list(range(13))


def test_decks_and_tables_follow_neither_the_count_nor_each_other():
    for seed in range(5):
        deck, table = numbers(seed, "deck"), numbers(seed, "table")
        # By chance, 4 of the 52 agree with the packet 13 cards thicker, or with the other item.
        assert sum(deck[i] == deck[i + 13] for i in range(39)) < 12
        assert sum(table[i] == table[i + 13] for i in range(39)) < 12
        steps = np.diff(deck) % 13
        assert np.bincount(steps, minlength=13).max() < 15
        assert len(set(zip(deck, table, strict=True))) > 35
    assert numbers(0, "deck") != numbers(1, "deck")


def test_scenes_of_one_deck_share_its_back_and_no_others():
    deck = numbers(3, "deck")
    same = 1 + next(i for i in range(13, 52) if deck[i] == deck[0])
    other = 1 + next(i for i in range(13, 52) if deck[i] != deck[0])
    first, second, third = (random_scene(3, cards, 1, 64, 48).back for cards in (1, same, other))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, third)
