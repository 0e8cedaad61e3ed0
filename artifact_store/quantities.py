"""Numbers in words: bytes, seconds, a number of things."""

from __future__ import annotations


def size(nbytes: int) -> str:
    """Bytes in decimal units, to two digits."""
    value, units = float(nbytes), iter(["B", "kB", "MB", "GB", "TB"])
    unit = next(units)
    while value >= 999.5 and unit != "TB":
        value, unit = value / 1000, next(units)
    return (
        f"{value:.1f} {unit}" if unit != "B" and value < 9.95 else f"{value:.0f} {unit}"
    )


def duration(seconds: float) -> str:
    """Seconds in words, to two digits."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.2g} ms" if seconds < 0.0995 else f"{seconds:.2f} s"
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 5970:
        return f"{minutes} min"
    return f"{hours} h" if hours < 48 else f"{round(seconds / 86400)} days"


def count(number: int, noun: str) -> str:
    """A number of things."""
    is_ies = noun.endswith("y") and noun[-2:-1] not in "aeiou"
    plural = f"{noun[:-1]}ies" if is_ies else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
