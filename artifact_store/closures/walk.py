"""The walk from a function through all first-party code and constants that it can reach.

Names are resolved on the live objects, as the interpreter would: so aliases,
re-exports, star imports, conditional definitions and monkeypatches need no
rules of their own. Members are numbered in the order in which they are met and
refer to one another by number, so neither file nor module is part of a closure.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from types import FunctionType
from typing import Any, Literal

import msgspec

from artifact_store.closures.checks import MISSING
from artifact_store.closures.classes import attributes_of, plain_function
from artifact_store.closures.constants import (
    DECLARE,
    Describer,
    is_analysis,
)
from artifact_store.closures.guards import Guard
from artifact_store.closures.names import (
    Chain,
    Names,
    calls_parameter,
    global_names,
    names_in,
    owner_of,
)
from artifact_store.closures.normalize import canonical
from artifact_store.closures.origins import (
    FirstParty,
    where_set,
)
from artifact_store.closures.resolve import Label, Resolver, Scope
from artifact_store.closures.sources import (
    Definition,
    definition_of_function,
    definitions_of_class,
)
from artifact_store.closures.trees import bare_class, bare_function
from artifact_store.digests import Digest, digest_of
from artifact_store.encoding import shown
from artifact_store.errors import UnresolvedDependency


class Reference(msgspec.Struct, frozen=True):
    """A name as a member spells it, the digest of what it stands for, and that in words."""

    kind: Literal["code", "constant", "missing"]
    spelled: str
    digest: Digest
    shown: str


class Member(msgspec.Struct, frozen=True):
    """A function or class of a closure; `name`, `file`, `line` and `source` are for people and in no digest."""

    name: str
    file: str
    line: int
    source: str
    digest: Digest
    references: tuple[Reference, ...]


class Walk:
    """Numbers functions and classes as they are met, and says of each what it is and refers to."""

    def __init__(self, ours: FirstParty) -> None:
        self.ours, self.guard = ours, Guard()
        self.guard.name(*where_set())
        self.packages: set[str] = set()
        self.externals: set[tuple[str, str, str]] = set()
        self.calls: list[Any] = []
        self.unknown: list[UnresolvedDependency] = []
        self.cached: list[Any] = []
        self._resolver = Resolver(self.ours, self.guard)
        self._numbers: dict[int, int] = {}
        self._met: list[Any] = []
        self._begun = self._root_is_called = False
        self._uses: list[tuple[str, str]] = []

    def members(self) -> list[Member]:
        """Every member in the order met; describing one may meet more."""
        self._begun, members = True, list[Member]()
        self._describe_met(members)
        if self._root_is_called and isinstance(self._met[0], FunctionType):
            # The defaults of the analysis are params, except where its own code relies on them.
            place = f"{members[0].file}:{members[0].line}"
            defaults = self._values(_defaults(self._met[0]), place)
            members[0] = msgspec.structs.replace(
                members[0], references=members[0].references + tuple(defaults)
            )
            self._describe_met(members)
        return members

    def describe(
        self, value: Any, place: str, spelled: str, uses: Iterable[tuple[str, str]] = ()
    ) -> bytes:
        """What `value` is: its content if it is a constant, its number if it is code.

        `uses` is what follows its name, where it is that of installed code: attributes, a call without arguments.
        """
        is_named = isinstance(value, Label | type) or inspect.isroutine(value)
        self._uses = [("", place), *(uses if is_named else ())]
        described = Describer(self, place, spelled).describe(value)
        self.guard.content(value, self.ours.has)
        return described

    def number(self, code: Any) -> int:
        """The number of a function or class of the user's."""
        number = self._numbers.setdefault(id(code), len(self._met))
        if number == len(self._met):
            self._met.append(code)
        self._root_is_called |= number == 0 and self._begun
        return number

    def external(self, module: str, name: str) -> bytes:
        """Installed code is not followed: it is known by its name, and the version of its package is recorded."""
        self.externals.update(
            (module, (name + use).lstrip("."), place) for use, place in self._uses
        )
        package = module.partition(".")[0]
        if package and package not in sys.stdlib_module_names:
            self.packages.add(package)
        return f"external {module}:{name}".encode()

    def analysis(self, analysis: Any) -> int:
        """The number of another analysis, which has a closure of its own."""
        for number, known in enumerate(self.calls):
            if known is analysis:
                return number
        self.calls.append(analysis)
        return len(self.calls) - 1

    def unresolved(self, place: str, what: str, advice: str) -> bytes:
        """Note what cannot be known."""
        self.unknown.append(UnresolvedDependency(place, what, advice))
        return b"unresolved " + what.encode()

    def remembers(self, cache: Any) -> None:
        """Note that what a function returned may be kept from one computation to the next."""
        self.cached.append(plain_function(cache))
        if hasattr(cache, "cache_clear"):
            self.guard.caches.append(cache)

    def calls_analysis(self) -> bool:
        """Whether what was met calls an analysis, or a parameter of its own, which may be one."""
        return bool(self.calls) or any(
            isinstance(one, FunctionType)
            and calls_parameter(definition_of_function(one).node)
            for one in self._met
        )

    def _describe_met(self, members: list[Member]) -> None:
        while len(members) < len(self._met):
            met = self._met[len(members)]
            describe = self._function if isinstance(met, FunctionType) else self._class
            members.append(describe(met))

    def _function(self, function: Any) -> Member:
        self.guard.function(function)
        definition = definition_of_function(function)
        node = bare_function(definition.node, function.__globals__)
        names = names_in([node], owner_of(function.__code__.co_qualname))
        scope = _scope_of(function, definition, names, node)
        # A cell may go unnamed: `super()` has the class in one.
        names.chains.update(
            {
                (name,): definition.line
                for name in scope.cells
                if (name,) not in names.chains
            }
        )
        references = [*self._references(names, scope)]
        place = f"{definition.file}:{definition.line}"
        if function is not self._met[0]:
            references += self._values(_defaults(function), place)
        for _, value in _defaults(function):
            # Those of the analysis itself are params, or those of its callers.
            self.guard.content(value, self.ours.has)
        self.guard.attributes(function)
        references += self._values(_attributes(function), place)
        name = f"{function.__module__}.{function.__qualname__}"
        return _member(name, [definition], [node], references)

    def _class(self, cls: type) -> Member:
        self.guard.cls(cls)
        definitions = definitions_of_class(cls)
        attributes = attributes_of(cls, self.ours.has)
        methods = {
            name
            for name, value in attributes
            if isinstance(plain_function(value), FunctionType)
        }
        nodes = [bare_class(one.node, methods) for one in definitions]
        names = names_in(nodes)
        namespace = (
            vars(sys.modules[cls.__module__]) if cls.__module__ in sys.modules else {}
        )
        file, line = (
            (definitions[0].file, definitions[0].line) if definitions else ("", 0)
        )
        known = {chain[0] for chain in names.chains if chain[0] in namespace} - {
            cls.__name__
        }
        scope = Scope(file, line, namespace, frozenset(known), {}, names.imports)
        references = [*self._references(names, scope)]
        references += self._values(attributes, f"{file or cls.__module__}:{line}")
        return _member(
            f"{cls.__module__}.{cls.__qualname__}", definitions, nodes, references
        )

    def _references(self, names: Names, scope: Scope) -> Iterator[Reference]:
        for line, spelled in names.dynamic:
            self.unresolved(
                f"{scope.file}:{line}",
                f"`{spelled}` reaches more than it names",
                DECLARE,
            )
        for chain in sorted(filter(scope.knows, names.chains)):
            place, spelled = f"{scope.file}:{names.chains[chain]}", ".".join(chain)
            for found, rest in self._resolver.resolve(chain, scope):
                uses = [("".join(f".{one}" for one in rest), place)]
                if chain in names.bare:
                    uses.append(
                        (f"{uses[0][0]}()", f"{scope.file}:{names.bare[chain]}")
                    )
                for value in self._meant(found, rest):
                    yield self._reference(spelled, value, place, uses)

    def _meant(self, found: Any, rest: Chain) -> Iterator[Any]:
        """What is meant by an attribute of `found`: of an analysis, not all hang together."""
        if not rest or not is_analysis(found):
            yield found
        elif rest[0] == "__wrapped__":
            # Called around its cache, the function is the caller's own code.
            yield found.__wrapped__
        else:
            yield found
            if rest[0] in vars(found) and not rest[0].startswith("_"):
                yield self.guard.attribute(found, rest[0])

    def _values(self, values: Iterable[tuple[str, Any]], place: str) -> list[Reference]:
        return [self._reference(name, value, place) for name, value in values]

    def _reference(
        self,
        spelled: str,
        value: Any,
        place: str,
        uses: Iterable[tuple[str, str]] = (),
    ) -> Reference:
        if value is MISSING:
            return Reference(
                "missing",
                spelled,
                digest_of("missing", spelled.encode()),
                "not defined",
            )
        described = self.describe(value, place, spelled, uses)
        # `encode` marks what is not plain content; that is compared as code, not as a value.
        kind: Literal["code", "constant"] = (
            "code" if described.startswith(b"other:") else "constant"
        )
        return Reference(
            kind,
            spelled,
            digest_of("reference", spelled.encode(), described),
            in_words(value),
        )


def _scope_of(
    function: FunctionType, definition: Definition, names: Names, node: Any
) -> Scope:
    decorators = names_in(getattr(node, "decorator_list", [])).chains
    namespace, code = function.__globals__, function.__code__
    looked_up = global_names(code) | {
        chain[0] for chain in decorators if chain[0] in namespace
    }
    cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
    file, line = definition.file, definition.line
    return Scope(file, line, namespace, looked_up, cells, names.imports)


def _attributes(function: FunctionType) -> list[tuple[str, Any]]:
    """What a function holds beside its code, but for what `functools.wraps` copied from another."""
    held = vars(function)
    copied = getattr(held.get("__wrapped__"), "__dict__", {}).keys() - {"__wrapped__"}
    return [(name, held[name]) for name in sorted(held.keys() - copied)]


def _defaults(function: FunctionType) -> list[tuple[str, Any]]:
    positional = enumerate(function.__defaults__ or ())
    named = (function.__kwdefaults__ or {}).items()
    return [(f"default {name}", value) for name, value in (*positional, *named)]


def _member(
    name: str, written: list[Definition], nodes: list[Any], references: list[Reference]
) -> Member:
    forms = [
        canonical(n, lazy_annotations=d.lazy_annotations)
        for n, d in zip(nodes, written, strict=True)
    ]
    file, line = (written[0].file, written[0].line) if written else ("", 0)
    source = "\n".join(one.source for one in written)
    return Member(
        name, file, line, source, digest_of("member", *forms), tuple(references)
    )


def in_words(value: Any) -> str:
    """What a value is, for people."""
    if isinstance(value, Label):
        return f"{value.package}.{value.name}".strip(".")
    name = getattr(value, "__qualname__", None)
    module = getattr(value, "__module__", None) or type(value).__module__
    return f"{module}.{name}" if isinstance(name, str) else shown(value)
