"""Edits of recorded code, as a reader gets them."""

from __future__ import annotations

from typing import Any

from artifact_store.edits import (
    Edit,
    edits_between,
    name_in_words,
    source_diff,
    value_diff,
)

SOURCE = "def f(a, b=1, *, c=2):\n    return a\n"


def member(
    name: str = "m.f",
    source: str = SOURCE,
    *references: tuple[str, str, str, str],
    line: int = 10,
) -> dict[str, Any]:
    """A member as it is recorded; its digest is its source."""
    return {
        "name": name,
        "file": f"{name.partition('.')[0]}.py",
        "line": line,
        "source": source,
        "digest": source,
        "references": list(references),
    }


def constant(spelled: str, words: str, digest: str = "") -> tuple[str, str, str, str]:
    return "constant", spelled, digest or words, words


def test_a_diff_has_the_line_numbers_of_the_files() -> None:
    was = member(source="def f():\n    a\n    b\n    c\n", line=10)
    now = member(source="def f():\n    a\n    c\n", line=20)

    assert source_diff(was, now) == (22, "@@ -11,3 +21,2 @@\n     a\n-    b\n     c")


def test_a_function_that_moved_to_another_module_is_no_edit() -> None:
    assert edits_between([member("old.f")], [member("new.f")]) == []


def test_a_function_that_moved_and_changed_is_shown_with_both_names() -> None:
    now = member("new.f", SOURCE.replace("return a", "return b"))

    (edit,) = edits_between([member("old.f")], [now])

    assert edit.what == "new.f, which was old.f, changed (new.py:11)"
    assert "-    return a\n+    return b" in edit.diff


def test_functions_that_are_too_much_alike_are_not_taken_for_moved_ones() -> None:
    then = [member("m.A.run"), member("m.B.run")]

    edits = edits_between(then, [member("m.C.run")])

    assert [edit.what for edit in edits] == [
        "m.C.run is reached now, and was not (m.py:10)",
        "m.A.run is no longer reached (m.py:10)",
        "m.B.run is no longer reached (m.py:10)",
    ]


def test_the_edit_of_a_function_inside_another_is_shown_once() -> None:
    inner = "    def inner():\n        return 1\n"
    outer = f"def outer():\n{inner}    return inner\n"

    def members(value: str) -> list[dict[str, Any]]:
        within = member("m.outer.<locals>.inner", inner.replace("1", value), line=11)
        return [member("m.outer", outer.replace("1", value)), within]

    (edit,) = edits_between(members("1"), members("2"))

    assert edit.what == "m.outer changed (m.py:12)"


def test_a_default_is_named_by_its_parameter() -> None:
    assert name_in_words("default 0", SOURCE) == "default b"
    assert name_in_words("default c", SOURCE) == "default c"
    assert name_in_words("SCALE", SOURCE) == "SCALE"
    # Of a lambda, the source may be half a statement; and defaults may be set without any.
    assert name_in_words("default 0", "key=lambda a=1: a)") == "default argument 1"
    assert name_in_words("default 4", SOURCE) == "default argument 5"


def test_a_default_that_is_new_is_an_edit_although_the_body_is_the_same() -> None:
    bare = member("m.f", "def f(a, b):\n    return a\n")
    full = {**member("m.f", SOURCE, constant("default 0", "1")), "digest": bare["digest"]}  # fmt: skip

    new = Edit("default", "the default of b of m.f is new (m.py:10)", "+ 1")
    gone = Edit("default", "the default of b of m.f is gone (m.py:10)", "- 1")
    assert edits_between([bare], [full]) == [new]
    assert edits_between([full], [bare]) == [gone]


def test_values_that_are_shown_alike_are_said_to_differ() -> None:
    then = member("m.f", SOURCE, constant("BIG", "array([0., ..., 1.])", "x"))
    now = member("m.f", SOURCE, constant("BIG", "array([0., ..., 1.])", "y"))

    (edit,) = edits_between([then], [now])

    assert edit.what == "BIG, which m.f uses, changed (m.py:10)"
    assert (
        edit.diff == "  array([0., ..., 1.])\nit differs in what these words leave out"
    )


def test_values_of_several_lines_are_compared_line_by_line() -> None:
    assert value_diff("1\n2", "3") == "- 1\n- 2\n+ 3"


def test_an_object_at_another_address_is_no_edit() -> None:
    def table(address: str) -> dict[str, Any]:
        words = f"{{'f': <function f at 0x{address}>}}"
        return member("m.f", SOURCE, ("code", "TABLE", address, words))

    assert edits_between([table("7f01")], [table("7f02")]) == []


def test_a_name_that_stands_for_other_code_comes_after_values_that_changed() -> None:
    then = member("m.f", SOURCE, ("code", "go", "1", "m.fast"), constant("N", "1"))
    now = member("m.f", SOURCE, ("code", "go", "2", "m.slow"), constant("N", "2"))

    assert [edit.what for edit in edits_between([then], [now])] == [
        "N, which m.f uses, changed (m.py:10)",
        "go, which m.f uses, stands for something else (m.py:10)",
    ]
