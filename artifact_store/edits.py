"""What was edited: the code of an analysis as it is recorded, beside that of today.

members then, members now ──► pairs of one function each ──► *Edit*: what changed, as a diff
"""

from __future__ import annotations

import ast
import difflib
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from artifact_store.closures.parsing import parse

# A function or class of a closure, as `closure_in_words` records it.
Member: TypeAlias = Mapping[str, Any]

# A name that a member uses: the kind of what it stands for, its digest, and that in words.
_Reference: TypeAlias = tuple[str, str, str]

_HUNK = re.compile(r"^@@ -(\d+)(,\d+)? \+(\d+)(,\d+)? @@$")

# Of an object without words of its own, which is elsewhere in every process.
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")

_DEFAULT = "default "


@dataclass(frozen=True, slots=True)
class Edit:
    """One difference of code: what changed and where, and how it was and is."""

    kind: Literal["code", "constant", "default"]
    what: str
    diff: str = ""


def edits_between(then: Iterable[Member], now: Iterable[Member]) -> list[Edit]:
    """Every edit of a closure: first of sources, then of values, then what is reached and what no longer is."""
    before, after = _by_name(then), _by_name(now)
    names = _paired(before, after)
    pairs = [(before[names[name]], after[name]) for name in sorted(names)]
    values = [edit for was, is_now in pairs for edit in _edited_values(was, is_now)]
    values.sort(key=lambda edit: edit.kind == "code")
    new = sorted(after.keys() - names.keys())
    gone = sorted(before.keys() - set(names.values()))
    return [
        *_edited_sources(pairs),
        *values,
        *(_met(after[name], "is reached now, and was not") for name in new),
        *(_met(before[name], "is no longer reached") for name in gone),
    ]


def name_in_words(spelled: str, source: str) -> str:
    """A name that a member with this source uses, as a reader knows it: a default by the parameter that has it."""
    if not spelled.startswith(_DEFAULT):
        return spelled
    name = spelled.removeprefix(_DEFAULT)
    return _DEFAULT + (_parameter(int(name), source) if name.isdecimal() else name)


def line_of(name: str, source: str) -> int:
    """How far below the first line of a source a name first stands."""
    word = re.compile(rf"(?<![\w.]){re.escape(name)}(?!\w)")
    lines = enumerate(source.splitlines())
    return next((number for number, line in lines if word.search(line)), 0)


def value_diff(was: str, is_now: str) -> str:
    """Two values below each other, line by line."""
    if was == is_now:
        return f"  {is_now}\nit differs in what these words leave out"
    lines = [f"- {line}" for line in was.splitlines()]
    return "\n".join(lines + [f"+ {line}" for line in is_now.splitlines()])


def source_diff(was: Member, is_now: Member) -> tuple[int, str]:
    """The first line of a file that differs, and a unified diff with the line numbers of the files."""
    old, new = was["source"].splitlines(), is_now["source"].splitlines()
    diff = list(difflib.unified_diff(old, new, lineterm="", n=1))
    first = next((start for tag, _, _, start, _ in _changes(old, new)), 0)
    shifted = [_shifted(line, was["line"] - 1, is_now["line"] - 1) for line in diff[2:]]
    return is_now["line"] + first, "\n".join(shifted)


def _shifted(line: str, old: int, new: int) -> str:
    found = _HUNK.match(line)
    if found is None:
        return line
    start, length, new_start, new_length = found.groups(default="")
    return f"@@ -{int(start) + old}{length} +{int(new_start) + new}{new_length} @@"


def _changes(
    old: list[str], new: list[str]
) -> Iterator[tuple[str, int, int, int, int]]:
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return (one for one in matcher.get_opcodes() if one[0] != "equal")


def _by_name(members: Iterable[Member]) -> dict[str, Member]:
    """Members by name; of several with one name (lambdas), each with its number."""
    named: dict[str, Member] = {}
    for member in members:
        name, number = member["name"], 2
        while name in named:
            name, number = f"{member['name']} ({number})", number + 1
        named[name] = member
    return named


def _paired(
    before: Mapping[str, Member], after: Mapping[str, Member]
) -> dict[str, str]:
    """The earlier name of each member of today that there was: mostly the same, unless it moved to another module."""
    pairs = {name: name for name in after if name in before}
    for same in (_own_name_and_digest, _own_name):
        taken = set(pairs.values())
        known = _only(same, {n: one for n, one in before.items() if n not in taken})
        unknown = {name: one for name, one in after.items() if name not in pairs}
        for what, name in _only(same, unknown).items():
            if what in known:
                pairs[name] = known[what]
    return pairs


def _own_name(member: Member) -> str:
    return str(member["name"]).rpartition(".")[2]


def _own_name_and_digest(member: Member) -> str:
    return f"{_own_name(member)} {member['digest']}"


def _only(
    same: Callable[[Member], str], members: Mapping[str, Member]
) -> dict[str, str]:
    """The names of members by what is the same of them, where that is of one member alone."""
    times = Counter(map(same, members.values()))
    found = ((same(member), name) for name, member in members.items())
    return {what: name for what, name in found if times[what] == 1}


def _edited_sources(pairs: Iterable[tuple[Member, Member]]) -> Iterator[Edit]:
    shown: set[tuple[str, str, int]] = set()
    for was, is_now in pairs:
        if was["digest"] == is_now["digest"]:
            continue
        changed = _changed_lines(was, is_now)
        # The source of a function holds that of the functions inside it, which are members too.
        if changed and changed <= shown:
            continue
        shown |= changed
        line, diff = source_diff(was, is_now)
        moved = was["name"] != is_now["name"]
        name = is_now["name"] + (f", which was {was['name']}," if moved else "")
        yield Edit("code", f"{name} changed ({is_now['file']}:{line})", diff)


def _changed_lines(was: Member, is_now: Member) -> set[tuple[str, str, int]]:
    """The lines of files that went and that came."""
    found = set()
    old, new = was["source"].splitlines(), is_now["source"].splitlines()
    for _, start, end, new_start, new_end in _changes(old, new):
        found |= {("-", was["file"], was["line"] + n) for n in range(start, end)}
        for number in range(new_start, new_end):
            found.add(("+", is_now["file"], is_now["line"] + number))
    return found


def _edited_values(was: Member, is_now: Member) -> Iterator[Edit]:
    before, after = _references(was), _references(is_now)
    for (spelled, number), (kind, digest, words) in after.items():
        old_kind, old_digest, old_words = before.get(
            (spelled, number), (kind, digest, words)
        )
        if (kind, old_kind) != ("code", "code"):
            if old_digest != digest:
                diff = value_diff(old_words, words)
                yield _valued(is_now, spelled, "changed", diff)
        # Code is numbered within its closure, so its digest may differ where only its neighbours changed.
        elif old_words != words:
            diff = value_diff(old_words, words)
            what = f"{_subject(is_now, spelled)} stands for something else"
            yield Edit("code", f"{what}{_place(is_now, spelled)}", diff)
    if was["digest"] == is_now["digest"]:
        # Of another source, the diff shows which names came and went.
        for spelled, number in sorted(after.keys() - before.keys()):
            diff = f"+ {after[spelled, number][2]}"
            yield _valued(is_now, spelled, "is new", diff)
        for spelled, number in sorted(before.keys() - after.keys()):
            diff = f"- {before[spelled, number][2]}"
            yield _valued(was, spelled, "is gone", diff)


def _references(member: Member) -> dict[tuple[str, int], _Reference]:
    """What each name stands for that a member uses, by the name and how often it came before."""
    found: dict[tuple[str, int], _Reference] = {}
    times = Counter[str]()
    for kind, spelled, digest, words in member["references"]:
        found[spelled, times[spelled]] = kind, digest, _ADDRESS.sub("", words)
        times[spelled] += 1
    return found


def _valued(member: Member, spelled: str, how: str, diff: str) -> Edit:
    what = f"{_subject(member, spelled)} {how}{_place(member, spelled)}"
    is_default = spelled.startswith(_DEFAULT)
    return Edit("default" if is_default else "constant", what, diff)


def _subject(member: Member, spelled: str) -> str:
    if spelled.startswith(_DEFAULT):
        named = name_in_words(spelled, member["source"]).removeprefix(_DEFAULT)
        return f"the default of {named} of {member['name']}"
    return f"{spelled}, which {member['name']} uses,"


def _place(member: Member, spelled: str) -> str:
    name = name_in_words(spelled, member["source"]).removeprefix(_DEFAULT)
    return f" ({member['file']}:{member['line'] + line_of(name, member['source'])})"


def _parameter(number: int, source: str) -> str:
    """The parameter that has this one of the defaults that go by position."""
    try:
        (definition,) = parse(textwrap.dedent(source)).body
    except (SyntaxError, ValueError):
        return f"argument {number + 1}"
    arguments = getattr(definition, "args", None)
    if not isinstance(arguments, ast.arguments) or len(arguments.defaults) <= number:
        return f"argument {number + 1}"
    every = [*arguments.posonlyargs, *arguments.args]
    return every[number - len(arguments.defaults)].arg


def _met(member: Member, what: str) -> Edit:
    return Edit("code", f"{member['name']} {what} ({member['file']}:{member['line']})")
