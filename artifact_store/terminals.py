"""Words on their way to a terminal, which obeys some characters instead of showing them.

label, path, source of a stranger ──► *visible* ──► table, message, `repr`
"""

from __future__ import annotations

import re
from typing import Final

# Commands to a terminal but the end of a line, what turns the order of letters around, and halves of pairs, which are
# no text at all and stand in names of files.
_UNSEEN: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(words: str) -> str:
    """Words with whatever is not to be seen in them written out; in JSON that means the same."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", words)


def in_one_line(words: str) -> str:
    """Words of which a stranger can make no second line, as if we had printed that."""
    return words.replace("\n", "\\u000a")
