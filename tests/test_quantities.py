"""Numbers in words."""

from __future__ import annotations

import pytest

from artifact_store.quantities import count


@pytest.mark.parametrize(
    "number, noun, said",
    [
        (1, "entry", "1 entry"),
        (2, "entry", "2 entries"),
        (0, "day", "0 days"),
        (1200, "key", "1,200 keys"),
    ],
)
def test_a_number_of_things_is_in_the_plural_but_for_one(
    number: int, noun: str, said: str
) -> None:
    assert count(number, noun) == said
