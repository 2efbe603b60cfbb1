"""Suggestions for misspelled words, and text that is shown."""

from __future__ import annotations

import time

import pytest

from unified_agents.text import closest, visible_lines


def test_the_closest_words_come_best_first() -> None:
    known = ["book_flight", "get_whether", "get_weather"]
    assert closest("get_weater", known, most=2) == ["get_weather", "get_whether"]
    assert closest("zzz", known) == []


def test_a_long_word_is_found_by_its_beginning() -> None:
    long = "look_up_the_weather_of_a_city_" * 5
    assert closest(long + "x", ["other", long]) == [long]


@pytest.mark.timed
@pytest.mark.parametrize("letters", ["ab", "aeiou", "x"])
def test_the_search_takes_no_longer_for_longer_words(letters: str) -> None:
    def seconds(length: int) -> float:
        known = [f"{number}{letters * length}" for number in range(200)]
        word = letters[::-1] * length
        times = []
        for _ in range(5):
            start = time.process_time()
            closest(word, known)
            times.append(time.process_time() - start)
        return min(times)

    assert seconds(2_000) < 5 * seconds(40) + 0.001


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines,\tand Windows\r\n", "two\nlines,\tand Windows\r\n"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("the line is\roverwritten\b\x07", r"the line is\roverwritten\x08\x07"),
        ("C1: \x9b31m", r"C1: \x9b31m"),
        ("turned \u202eround\u2066", r"turned \u202eround\u2066"),
        ("שלום\u200f, 👩\u200d🔬, a\u00a0b, Straße", "שלום\u200f, 👩\u200d🔬, a\u00a0b, Straße"),
    ],
)
def test_a_terminal_obeys_nothing_of_a_text(text: str, shown: str) -> None:
    assert visible_lines(text) == shown
