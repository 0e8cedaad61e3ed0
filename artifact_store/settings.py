"""Settings of a store: by flag, by environment variable, in its `config.toml`, or none, in this order.

No call reads them; they are for those who look after a store.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from artifact_store.descriptors import read_file, refuse_links
from artifact_store.errors import BadSetting, CorruptArtifact
from artifact_store.layout import HIDDEN, Layout

# By name, the variable that sets each.
VARIABLES: Final[Mapping[str, str]] = {
    "max_bytes": "ARTIFACT_STORE_MAX_BYTES",
    "max_files": "ARTIFACT_STORE_MAX_FILES",
}

_UNITS: Final[Mapping[str, int]] = {
    "": 1,
    "b": 1,
    **{f"{unit}b": 1000**power for power, unit in enumerate("kmgt", 1)},
    **{f"{unit}ib": 1024**power for power, unit in enumerate("kmgt", 1)},
}
_AMOUNT: Final = re.compile(
    r"\s*([0-9]{1,18}(?:\.[0-9]{1,18})?)\s*([a-z]*)\s*", re.IGNORECASE
)


class Setting(msgspec.Struct, frozen=True):
    """A value, and where it came from; `None` if it is nowhere set."""

    name: str
    value: int | None
    source: str


def amount(text: str | int, setting: str) -> int:
    """A number of bytes, as in `500`, `10 GB` or `1.5GiB`.

    Raises
    ------
    BadSetting
        It is none.
    """
    found = _AMOUNT.fullmatch(str(text))
    if isinstance(text, bool) or not found or found[2].lower() not in _UNITS:
        advice = "Write a number, if you like with a unit: 500, 10 GB, 1.5 GiB."
        raise BadSetting(setting, str(text), "it is no amount", advice)
    return int(float(found[1]) * _UNITS[found[2].lower()])


def whole_number(text: str | int, setting: str) -> int:
    """A number of files, as in `100000` or `100_000`; `BadSetting` if it is none."""
    try:
        if (
            isinstance(text, int | str)
            and not isinstance(text, bool)
            and int(text) >= 0
        ):
            return int(text)
    except ValueError:
        pass
    raise BadSetting(setting, str(text), "it is no number", "Write one: 100000.")


# By name, how the value of each is read.
_READ: Final[Mapping[str, Callable[[str | int, str], int]]] = {
    "max_bytes": amount,
    "max_files": whole_number,
}


def settings_of(location: str, given: Mapping[str, int | None]) -> list[Setting]:
    """Every setting of a store in a directory.

    Parameters
    ----------
    given
        By flags; `None` where one was not.

    Raises
    ------
    BadSetting
        The file or a variable says what it cannot mean.
    """
    path = Layout(location).config
    in_file = _in_file(location, path)
    return [_setting(name, given.get(name), in_file, path) for name in VARIABLES]


def _setting(
    name: str, given: int | None, in_file: Mapping[str, int], path: str
) -> Setting:
    variable = VARIABLES[name]
    if given is not None:
        return Setting(name, given, f"--{name.replace('_', '-')}")
    if said := os.environ.get(variable):
        return Setting(name, _READ[name](said, variable), variable)
    if name in in_file:
        return Setting(name, in_file[name], path)
    return Setting(name, None, "not set")


def _in_file(location: str, path: str) -> dict[str, int]:
    import tomllib  # of its weight, see `versions`

    refuse_links(f"{location}/{HIDDEN}", location)
    try:
        os.lstat(path)
        said: dict[str, Any] = tomllib.loads(read_file(path).decode())
    except FileNotFoundError:
        return {}
    except (CorruptArtifact, OSError) as error:
        # A budget that nobody could read, and so nobody kept, would be noticed when the disk is full.
        problem = (
            error.problem
            if isinstance(error, CorruptArtifact)
            else f"cannot be read ({error.strerror})"
        )
        advice = "Put a file there that you may read, or take away what is there."
        raise BadSetting(path, "...", f"it {problem}", advice) from None
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, or no end
        advice = 'Write lines such as: max_bytes = "10 GB"'
        raise BadSetting(path, "...", f"it cannot be read ({error})", advice) from None
    for name in said:
        if name not in VARIABLES:
            advice = f"Known are {', '.join(VARIABLES)}."
            raise BadSetting(path, name, "there is no such setting", advice)
    return {
        name: _READ[name](value, f"{name} in {path}") for name, value in said.items()
    }
