"""Plain values with names: what each may be, and one sentence where one is something else."""

from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from sys import float_info
from typing import Any

from jqc.errors import InputError

LARGEST = 2**31 - 1
"""Whole numbers fit 32 bits."""

Check = tuple[Callable[[Any], bool], str]
"""Whether a value will do, and in words what does."""


def whole(lowest: int) -> Check:
    """A whole number."""
    return lambda value: type(value) is int and lowest <= value <= LARGEST, f"an int from {lowest} to {LARGEST}"


def real(within: Callable[[float], bool], meaning: str) -> Check:
    """A finite number in a range."""

    def accepts(value: Any) -> bool:
        number = type(value) is int or isinstance(value, float)
        return number and abs(value) <= float_info.max and within(value)

    return accepts, meaning


POSITIVE = real(lambda value: value > 0, "a positive number")


def one_of(names: Iterable[str]) -> Check:
    """One of some words."""
    *others, last = names
    return lambda value: value in (*others, last), f"{', '.join(others)} or {last}"


def require(name: str, value: Any, check: Check, error: type[InputError] = InputError) -> None:
    """Refuse a value that will not do, by its name.

    >>> require("steps", 0, whole(1))
    Traceback (most recent call last):
    jqc.errors.InputError: steps is 0; give an int from 1 to 2147483647.
    """
    accepts, meaning = check
    if not accepts(value):
        raise error(f"{name} is {value!r}; give {meaning}.")


def require_fields(settings: Any, checks: Mapping[str, Check], error: type[InputError] = InputError) -> None:
    """Refuse a record with a field that will not do."""
    for name, check in checks.items():
        require(name, getattr(settings, name), check, error)


def refuse_unknown(
    given: Iterable[str], known: Collection[str], where: str, error: type[InputError] = InputError
) -> None:
    """Refuse a name that is not known, with the one that was meant, if one is near.

    >>> refuse_unknown(["stpes"], ["steps", "dt"], "the simulation")
    Traceback (most recent call last):
    jqc.errors.InputError: the simulation has no 'stpes'; did you mean steps?
    """
    for name in given:
        if name not in known:
            near = get_close_matches(str(name), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known) or 'none'}."
            raise error(f"{where} has no {name!r}; {hint}")
