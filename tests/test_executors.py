from __future__ import annotations

from contextvars import ContextVar

from artifact_store.executors import each

CHOSEN: ContextVar[str] = ContextVar("CHOSEN", default="nothing")


def test_threads_see_the_context_variables_of_the_caller() -> None:
    token = CHOSEN.set("something")
    try:
        seen = list(each(lambda item: CHOSEN.get(), range(4), 2, "shared"))
    finally:
        CHOSEN.reset(token)

    assert seen == ["something"] * 4
