"""The closure of a function: all first-party code and constants it can reach.

Names are resolved on the live objects, as the interpreter would: so aliases,
re-exports, star imports, conditional definitions and monkeypatches need no
rules of their own. Members are numbered in the order in which they are met and
refer to one another by number, so neither file nor module is part of a closure.
"""

from __future__ import annotations

import ast
import copy
import linecache
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from enum import EnumMeta
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType, ModuleType
from typing import Any, Literal

from artifact_store.closures.constants import Describer
from artifact_store.closures.guards import MISSING, Guard
from artifact_store.closures.names import Chain, Names, global_names, names_in
from artifact_store.closures.normalize import canonical
from artifact_store.closures.resolve import Scope, resolve
from artifact_store.closures.sources import (
    Definition,
    definition_of_function,
    definitions_of_class,
    is_first_party,
    module_file,
)
from artifact_store.digests import Digest, digest_of
from artifact_store.encoding import shown
from artifact_store.errors import UnresolvedDependency


@dataclass(frozen=True, slots=True)
class Reference:
    """A name as a member spells it, the digest of what it stands for, and that in words."""

    kind: Literal["code", "constant", "missing"]
    spelled: str
    digest: Digest
    shown: str


@dataclass(frozen=True, slots=True)
class Member:
    """A function or class of a closure; `name`, `file`, `line` and `source` are for people and in no digest."""

    name: str
    file: str
    line: int
    source: str
    digest: Digest
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class Closure:
    """Everything first-party that decides what a function returns."""

    digest: Digest
    members: tuple[Member, ...]
    packages: tuple[str, ...]
    guard: Guard


def closure_of(function: Any, depends_on: tuple[Any, ...] = ()) -> Closure:
    """The closure of `function` and of everything in `depends_on`.

    Parameters
    ----------
    function
        A function, a partial, or any callable made of first-party code.
    depends_on
        What it reaches by ways that cannot be followed. Naming any says that no lookup by a computed name reaches more.

    Raises
    ------
    UnresolvedDependency
        Something it reaches cannot be known without running it, or has no canonical form.
    SourceChanged, SourceUnavailable
        The running code has no source any more, or never had one.
    """
    walk = _Walk(_package_of(function), declared=bool(depends_on))
    roots = [walk.describe(root, "the analysis") for root in (function, *depends_on)]
    members = tuple(walk.members())
    parts = [
        part
        for m in members
        for part in (bytes(m.digest), *(bytes(ref.digest) for ref in m.references))
    ]
    lengths = [b"%d" % len(m.references) for m in members]
    digest = digest_of("closure", *roots, *lengths, *parts)
    return Closure(digest, members, tuple(sorted(walk.packages)), walk.guard)


def _package_of(function: Any) -> str:
    while not hasattr(function, "__module__") or hasattr(function, "func"):
        function = function.func
    return str(function.__module__).partition(".")[0]


class _Walk:
    """Numbers functions and classes as they are met, and says of each what it is and refers to."""

    def __init__(self, package: str, *, declared: bool) -> None:
        self.guard = Guard()
        self.packages: set[str] = set()
        # An analysis that was installed is still its author's code, so its own package is always first-party.
        self._own = frozenset({package}) - {"__main__", __name__.partition(".")[0]}
        self._declared = declared
        self._numbers: dict[int, int] = {}
        self._met: list[Any] = []

    def members(self) -> Iterator[Member]:
        """Every member in the order met; describing one may meet more."""
        for met in self._met:
            yield (
                self._function(met)
                if isinstance(met, FunctionType)
                else self._class(met)
            )

    def describe(self, value: Any, place: str) -> bytes:
        """What `value` is: its content if it is a constant, its number if it is code."""
        described = Describer(self, place).describe(value)
        self.guard.content(value)
        return described

    def number(self, code: Any) -> int:
        """The number of a function or class of the user's."""
        if id(code) not in self._numbers:
            self._numbers[id(code)] = len(self._met)
            self._met.append(code)
        return self._numbers[id(code)]

    def is_ours(self, code: Any) -> bool:
        """Whether a function, class or module is first-party."""
        if isinstance(code, FunctionType):
            package = str(code.__globals__.get("__name__", "")).partition(".")[0]
            return is_first_party(code.__code__.co_filename, package, self._own)
        module = (
            code if isinstance(code, ModuleType) else sys.modules.get(code.__module__)
        )
        if module is None:
            return False
        package = module.__name__.partition(".")[0]
        # A module without a file is a namespace package, built in, or the `__main__` of a notebook.
        file = module_file(module) or next(iter(getattr(module, "__path__", [])), None)
        return (
            package == "__main__"
            if file is None
            else is_first_party(file, package, self._own)
        )

    def external(self, module: str, name: str) -> bytes:
        """Installed code is not followed: it is known by its name, and the version of its package is recorded."""
        package = module.partition(".")[0]
        if package not in sys.stdlib_module_names:
            self.packages.add(package)
        return f"external {module}:{name}".encode()

    def _function(self, function: FunctionType) -> Member:
        self.guard.function(function)
        definition = definition_of_function(function)
        is_root = function is self._met[0]
        node = _bare_function(
            definition.node, function.__globals__, with_defaults=not is_root
        )
        body = names_in([node])
        cells = dict(
            zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        )
        scope = Scope(_place(definition), function.__globals__, cells, body.imports)
        decorators = names_in(getattr(node, "decorator_list", [])).chains
        chains = {
            chain
            for chain in body.chains
            if chain[0] in cells
            or chain[0] in body.imports
            or chain[0] in global_names(function.__code__)
        } | {chain for chain in decorators if chain[0] in function.__globals__}
        unnamed = {
            (name,) for name in cells if not any(name == chain[0] for chain in chains)
        }
        references = [*self._references(body, chains | unnamed, scope)]
        if not is_root:
            # The defaults of the analysis itself are params; those of a helper are nobody's but its own.
            references += self._values(_defaults(function), scope)
        if "__wrapped__" in vars(function):
            references += self._values(
                [("__wrapped__", vars(function)["__wrapped__"])], scope
            )
        name = f"{function.__module__}.{function.__qualname__}"
        return _member(name, [definition], [node], references)

    def _class(self, cls: type) -> Member:
        definitions = definitions_of_class(cls)
        attributes = [
            (name, self.guard.name(vars(cls), name))
            for name in sorted(vars(cls))
            if _decides(cls, name)
        ]
        functions = {
            name
            for name, value in attributes
            if isinstance(_plain_function(value), FunctionType)
        }
        nodes = [_bare_class(definition.node, functions) for definition in definitions]
        body = names_in(nodes)
        namespace = (
            vars(sys.modules[cls.__module__]) if cls.__module__ in sys.modules else {}
        )
        scope = Scope(_place(definitions[-1]), namespace, {}, body.imports)
        known = {
            chain
            for chain in body.chains
            if chain[0] in namespace and chain != (cls.__name__,)
        }
        references = [*self._references(body, known, scope)]
        bases = [
            (f"base {base.__qualname__}", base) for base in (*cls.__bases__, type(cls))
        ]
        references += self._values(
            [(name, base) for name, base in bases if base not in (object, type)], scope
        )
        references += self._values(attributes, scope)
        return _member(
            f"{cls.__module__}.{cls.__qualname__}", definitions, nodes, references
        )

    def _references(
        self, names: Names, chains: Iterable[Chain], scope: Scope
    ) -> Iterator[Reference]:
        if names.dynamic and not self._declared:
            line, call = names.dynamic[0]
            raise UnresolvedDependency(
                scope.place, f"{call} can reach any name (line {line} of it)", _DECLARE
            )
        for chain in sorted(chains):
            value, rest = resolve(chain, scope, self.guard)
            spelled = ".".join(chain)
            if value is MISSING:
                yield Reference(
                    "missing",
                    spelled,
                    digest_of("missing", spelled.encode()),
                    "not defined",
                )
            elif isinstance(value, ModuleType) and not self.is_ours(value):
                named = self.external(value.__name__, ".".join(rest))
                yield Reference(
                    "code",
                    spelled,
                    digest_of("external", named),
                    f"{value.__name__}.{'.'.join(rest)}",
                )
            elif isinstance(value, ModuleType) and self._declared:
                continue
            else:
                yield self._reference(spelled, value, scope)
                if rest and isinstance(value, FunctionType) and rest[0] in vars(value):
                    yield self._reference(
                        f"{spelled} (attribute)", vars(value)[rest[0]], scope
                    )

    def _values(
        self, values: Iterable[tuple[str, Any]], scope: Scope
    ) -> list[Reference]:
        return [self._reference(name, value, scope) for name, value in values]

    def _reference(self, spelled: str, value: Any, scope: Scope) -> Reference:
        described = self.describe(value, f"{scope.place}: {spelled}")
        # `encode` marks what is not plain content; that is compared as code, not as a value.
        kind: Literal["code", "constant"] = (
            "code" if described.startswith(b"other:") else "constant"
        )
        return Reference(
            kind,
            spelled,
            digest_of("reference", spelled.encode(), described),
            _in_words(value),
        )


_DECLARE = "Declare what it may reach: @analysis(depends_on=(function, ...))."
# What Python and its decorators put into a class; all of it follows from the body, the bases and the other attributes.
_GENERATED = (MemberDescriptorType, GetSetDescriptorType)


def _decides(cls: type, name: str) -> bool:
    """Whether an attribute of a class is one that its author wrote or set."""
    value = vars(cls)[name]
    if isinstance(value, _GENERATED) or name == "_abc_impl":
        return False
    if isinstance(cls, EnumMeta) and (
        name in cls.__members__ or (name.startswith("_") and name.endswith("_"))
    ):
        return (
            isinstance(value, FunctionType)
            and value.__qualname__ == f"{cls.__qualname__}.{name}"
        )
    function = _plain_function(value)
    if isinstance(function, FunctionType):
        file = function.__code__.co_filename
        return bool(linecache.getlines(file)) and not (
            is_dataclass(cls) and file.endswith("reprlib.py")
        )
    return not (name.startswith("__") and name.endswith("__"))


def _plain_function(value: Any) -> Any:
    """The function behind a method of any kind."""
    if isinstance(value, staticmethod | classmethod):
        return value.__func__
    return value.fget if isinstance(value, property) else getattr(value, "func", value)


def _defaults(function: FunctionType) -> list[tuple[str, Any]]:
    positional = [
        (f"default {number}", value)
        for number, value in enumerate(function.__defaults__ or ())
    ]
    return positional + [
        (f"default {name}", value)
        for name, value in (function.__kwdefaults__ or {}).items()
    ]


def _bare_function(
    node: Any, namespace: Mapping[str, Any], *, with_defaults: bool
) -> Any:
    """A function without `@analysis`, which is digested as what it declares; a root also without defaults."""
    bare = copy.copy(node)
    if hasattr(bare, "decorator_list"):
        bare.decorator_list = [
            one for one in node.decorator_list if not _is_analysis(one, namespace)
        ]
    if not with_defaults:
        bare.args = copy.copy(node.args)
        bare.args.defaults, bare.args.kw_defaults = [], []
    return bare


def _bare_class(node: Any, functions: set[str]) -> Any:
    """A class without the functions that are members of their own."""
    bare = copy.copy(node)
    definitions = ast.FunctionDef, ast.AsyncFunctionDef
    bare.body = [
        one
        for one in node.body
        if not (isinstance(one, definitions) and one.name in functions)
    ]
    return bare


def _is_analysis(decorator: ast.expr, namespace: Mapping[str, Any]) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    spelled = ast.unparse(called).split(".")
    value = namespace.get(spelled[0])
    for name in spelled[1:]:
        value = getattr(value, name, None)
    return (
        str(getattr(value, "__module__", "")).partition(".")[0]
        == __name__.partition(".")[0]
    )


def _member(
    name: str,
    written: list[Definition],
    nodes: list[ast.AST],
    references: list[Reference],
) -> Member:
    forms = [
        canonical(n, lazy_annotations=d.lazy_annotations)
        for n, d in zip(nodes, written, strict=True)
    ]
    first = written[0]
    source = "\n".join(definition.source for definition in written)
    return Member(
        name,
        first.file,
        first.line,
        source,
        digest_of("member", *forms),
        tuple(references),
    )


def _place(definition: Definition) -> str:
    return f"{definition.file}:{definition.line}"


def _in_words(value: Any) -> str:
    name = getattr(value, "__qualname__", None)
    return f"{value.__module__}.{name}" if isinstance(name, str) else shown(value)
