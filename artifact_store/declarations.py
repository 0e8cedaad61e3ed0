"""What an author declares of an analysis in its decorator."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, get_args

import msgspec

from artifact_store.arrays import Codec
from artifact_store.arraysets import Dims
from artifact_store.closures.origins import fault_of_package
from artifact_store.encoding import encode, is_plain
from artifact_store.errors import BadDeclaration
from artifact_store.modes import ModeName
from artifact_store.recent import cached_property
from artifact_store.stores.base import Store
from artifact_store.versions import version_of


class Declaration(msgspec.Struct, frozen=True, dict=True):
    """The arguments of `@analysis`, checked; see there for what each means."""

    name: str
    dims: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    codec: Codec = "raw"
    ignore: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    depends_on: tuple[Any, ...] = ()
    first_party: tuple[str, ...] = ()
    was: Mapping[str, Any] = msgspec.field(default_factory=dict)
    strict: bool | None = None
    store: Store | str | None = None
    durable: bool = False
    mode: ModeName | None = None
    function: str = ""

    @cached_property
    def environment(self) -> str:
        """What it adds to the key, in words: dimensions are stored, and some versions count."""
        counted = {name: version_of(name) for name in sorted(self.versions)}
        return f"dims={dict(sorted(self.dims.items()))} versions={counted}"

    @cached_property
    def environment_bytes(self) -> bytes:
        """The same in canonical bytes."""
        return encode(
            (
                sorted(self.dims.items()),
                [(name, version_of(name)) for name in sorted(self.versions)],
            )
        )


def declare(
    function: Callable[..., Any], name: str | None, dims: Dims, **others: Any
) -> Declaration:
    """The declaration of `function`.

    Raises
    ------
    BadDeclaration
        The function cannot be an analysis, or the decorator was given what does not fit it.
    """
    named = name or _name_of(function)
    if not named.isidentifier():
        raise BadDeclaration(
            named, "its name is not an identifier", "Give one: @analysis(name='...')."
        )
    problem = _problem_of(function)
    if problem:
        raise BadDeclaration(
            named,
            problem,
            "Decorate a plain function that takes checkpoints and returns arrays.",
        )
    for option in ("ignore", "versions", "depends_on", "first_party"):
        if not isinstance(others[option], tuple):
            raise BadDeclaration(
                named,
                f"{option} is a {type(others[option]).__name__}",
                "Write a tuple, as in ('x',).",
            )
    for package in others["versions"]:
        if version_of(package) == "unknown":
            raise BadDeclaration(
                named,
                f"versions names {package!r}, of which no version is installed",
                "Name packages as they are imported or installed.",
            )
    for package in others["first_party"]:
        fault = fault_of_package(package)
        if fault:
            raise BadDeclaration(
                named,
                f"first_party names {package!r}, which {fault}",
                "Name packages as they are imported.",
            )
    for option in ("ignore", "was"):
        for one in others[option]:
            if one not in inspect.signature(function).parameters:
                raise BadDeclaration(
                    named, f"{option} names {one!r}", "Name parameters of the function."
                )
    for one, value in others["was"].items():
        if not is_plain(value, lambda leaf: False):
            raise BadDeclaration(
                named,
                f"was gives {one!r} a {type(value).__name__}",
                "Give the number or string that it was.",
            )
    if others["mode"] not in (None, *get_args(ModeName)):
        choices = ", ".join(get_args(ModeName))
        raise BadDeclaration(
            named, f"mode is {others['mode']!r}", f"Choose one of {choices}."
        )
    if others["codec"] not in ("raw", "zstd"):
        raise BadDeclaration(
            named, f"codec is {others['codec']!r}", "Choose 'raw' or 'zstd'."
        )
    return Declaration(
        named,
        dims={array: tuple(axes) for array, axes in _checked(named, dims).items()},
        function=_place_of(function),
        **others,
    )


def _checked(name: str, dims: Dims) -> Dims:
    for array, axes in dims.items():
        if isinstance(axes, str):
            raise BadDeclaration(
                name,
                f"dims of {array!r} are the string {axes!r}",
                f"Write a tuple, as in ({axes!r},).",
            )
    return dims


def _name_of(function: Any) -> str:
    return str(getattr(_plain(function), "__name__", type(function).__name__))


def _place_of(function: Any) -> str:
    """Module and name, as an import would find it."""
    plain = _plain(function)
    return (
        f"{plain.__module__}:{getattr(plain, '__qualname__', type(plain).__qualname__)}"
    )


def _plain(function: Any) -> Any:
    """The function that a partial is made of."""
    while hasattr(function, "func"):
        function = function.func
    return function


def _problem_of(function: Any) -> str:
    if isinstance(function, staticmethod | classmethod | property) or _is_method(
        function
    ):
        return "it is a method, whose instance has no content to digest"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "it is asynchronous"
    if inspect.isgeneratorfunction(function):
        return "it is a generator, which returns nothing until it is run"
    return (
        ""
        if callable(function)
        else f"it is a {type(function).__name__} and cannot be called"
    )


def _is_method(function: Any) -> bool:
    if not isinstance(function, FunctionType):
        return inspect.ismethod(function)
    parameters = list(inspect.signature(function).parameters)
    return function.__qualname__.rpartition(".")[0].rpartition(".")[2] not in (
        "",
        "<locals>",
    ) and parameters[:1] == ["self"]
