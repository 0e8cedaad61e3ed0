"""Decorators, to be used above and below `@analysis`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import numpy as np

Body = Callable[[Any], Any]

EPSILON = 1e-3


def stabilised(amount: float) -> Callable[[Body], Body]:
    """Below ours: what is computed, and a little."""

    def decorate(body: Body) -> Body:
        @wraps(body)
        def inner(checkpoint: Any) -> Any:
            scores = body(checkpoint)["scores"]
            return {"scores": scores + amount + EPSILON * np.abs(scores)}

        return inner

    return decorate


def symmetric(body: Body) -> Body:
    """Above ours: what is stored, made symmetric."""

    @wraps(body)
    def outer(checkpoint: Any) -> Any:
        scores = body(checkpoint)["scores"]
        return {"scores": 0.5 * (scores + scores.transpose(0, 2, 1))}

    return outer


def marked(body: Body) -> Body:
    """The function itself, with an attribute."""
    body.strength = 0.4  # type: ignore[attr-defined]
    return body


@contextmanager
def emphasised(values: np.ndarray[Any, Any]) -> Iterator[np.ndarray[Any, Any]]:
    """The values within, a little larger."""
    yield values * 1.2
