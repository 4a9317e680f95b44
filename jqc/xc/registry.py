"""From a name to a functional: the named functionals, and sums of them as PySCF users write them."""

import math
import re
from collections.abc import Iterable
from difflib import get_close_matches

from jqc.errors import FunctionalError
from jqc.xc.base import Functional
from jqc.xc.names import key
from jqc.xc.neural.stored import shipped, stored
from jqc.xc.semilocal import COMPONENTS, Semilocal


def _semilocal(name: str, exact: float = 0.0, **terms: float) -> Semilocal:
    """A functional with a fraction `exact` of full-range exact exchange."""
    return Semilocal(name, tuple(terms.items()), ((0.0, exact),) if exact else ())


_NAMED: tuple[Semilocal, ...] = (
    _semilocal("hf", exact=1.0),
    _semilocal("lda", slater=1.0, vwn5=1.0),
    _semilocal("pbe", pbe_x=1.0, pbe_c=1.0),
    _semilocal("revpbe", revpbe_x=1.0, pbe_c=1.0),
    _semilocal("rpbe", rpbe_x=1.0, pbe_c=1.0),
    _semilocal("pbesol", pbesol_x=1.0, pbesol_c=1.0),
    _semilocal("bp86", b88=1.0, p86=1.0),
    _semilocal("blyp", b88=1.0, lyp=1.0),
    _semilocal("b3lyp", exact=0.2, slater=0.08, b88=0.72, vwn_rpa=0.19, lyp=0.81),
    _semilocal("b3lyp5", exact=0.2, slater=0.08, b88=0.72, vwn5=0.19, lyp=0.81),
    _semilocal("pbe0", exact=0.25, pbe_x=0.75, pbe_c=1.0),
    _semilocal("bhandhlyp", exact=0.5, b88=0.5, lyp=1.0),
    _semilocal("tpss", tpss_x=1.0, tpss_c=1.0),
    _semilocal("tpssh", exact=0.1, tpss_x=0.9, tpss_c=1.0),
    _semilocal("scan", scan_x=1.0, scan_c=1.0),
    _semilocal("r2scan", r2scan_x=1.0, r2scan_c=1.0),
    _semilocal("m06-l", m06l_x=1.0, m06l_c=1.0),
    Semilocal(
        "cam-b3lyp",
        (("b88", 0.35), ("b88_sr033", 0.46), ("vwn5", 0.19), ("lyp", 0.81)),
        ((0.0, 0.19), (0.33, 0.46)),
    ),
    Semilocal("hse06", (("wpbe_x", 1.0), ("wpbe_sr011", -0.25), ("pbe_c", 1.0)), ((-0.11, 0.25),)),
    Semilocal("wb97x", (("wb97x_xc", 1.0),), ((0.0, 0.157706), (0.3, 0.842294))),
)

_ALIASES = {"svwn": "lda", "svwn5": "lda", "pbe1pbe": "pbe0", "pbeh": "pbe0", "bhhlyp": "bhandhlyp"}

_EXCHANGE = {
    "lda": "slater",
    "slater": "slater",
    "b88": "b88",
    "pbe": "pbe_x",
    "revpbe": "revpbe_x",
    "rpbe": "rpbe_x",
    "pbesol": "pbesol_x",
    "tpss": "tpss_x",
    "scan": "scan_x",
    "r2scan": "r2scan_x",
    "m06l": "m06l_x",
}
"""What a name means before the comma."""

_CORRELATION = {
    "vwn": "vwn5",
    "vwn5": "vwn5",
    "vwnrpa": "vwn_rpa",
    "pw": "pw92",
    "pw92": "pw92",
    "pwmod": "pw92_mod",
    "pz": "pz81",
    "pz81": "pz81",
    "lyp": "lyp",
    "p86": "p86",
    "pbe": "pbe_c",
    "revpbe": "pbe_c",
    "rpbe": "pbe_c",
    "pbesol": "pbesol_c",
    "tpss": "tpss_c",
    "scan": "scan_c",
    "r2scan": "r2scan_c",
    "m06l": "m06l_c",
}
"""What a name means after the comma."""


def _component(name: str) -> Semilocal:
    """A functional of one component."""
    return Semilocal(name, ((name, 1.0),))


_registered: dict[str, Functional] = {functional.name: functional for functional in _NAMED}
"""The one table that `register` adds to: display name → functional."""


def _table() -> dict[str, Functional]:
    """Every whole name that can be looked up, by its key."""
    table: dict[str, Functional] = {key(name): _component(name) for name in COMPONENTS}
    table |= {key(name): functional for name, functional in _registered.items()}
    return table | {alias: _registered[name] for alias, name in _ALIASES.items()}


def names() -> tuple[str, ...]:
    """Names of the functionals there are, registered ones and shipped weights included.

    >>> "pbe0" in names()
    True
    """
    return tuple(sorted({*_registered, *shipped()}))


def register(name: str, functional: Functional) -> None:
    """Make `functional(name)` return this functional from now on, in this process; a name is given once."""
    if not isinstance(functional, Functional):
        raise FunctionalError(f'"{name}" needs a Functional, but got a {type(functional).__name__}.')
    if not re.fullmatch(r"[^\W\d][\w-]*", name):
        raise FunctionalError(f'"{name}" cannot name a functional: write a letter, then letters, digits, - or _.')
    if key(name) in {*_table(), *map(key, shipped())}:
        raise FunctionalError(f'"{name}" already names a functional: choose another name.')
    _registered[name] = functional


def functional(name: str) -> Functional:
    """The functional of that name, the sum that it spells out, or the learned one that a path leads to.

    Case, spaces, hyphens and underscores do not matter. A sum is written as in PySCF: terms
    `coefficient*name` joined by + and −, `hf` for exact exchange; a comma separates exchange from
    correlation, and then a bare name means its exchange before the comma and its correlation after it. A learned
    functional is a file that `jqc.xc.neural.files.save` wrote, or the folder of the training run that left it there.

    >>> functional("B3LYP").exchange
    ((0.0, 0.2),)
    >>> functional("0.5*hf + 0.5*slater, lyp").terms
    (('slater', 0.5), ('lyp', 1.0))
    """
    if not isinstance(name, str):
        raise FunctionalError(f"A functional is asked for by name, but got a {type(name).__name__}.")
    found = _table().get(key(name)) or stored(name)
    if found is not None:
        return found
    parts = name.lower().split(",")
    if len(parts) > 2 or not any(part.strip() for part in parts):
        raise FunctionalError(f'"{name}" is no functional: write a name such as pbe, or "exchange,correlation".')
    tables = (_table(),) if len(parts) == 1 else (_side(_EXCHANGE, "hf"), _side(_CORRELATION))
    pieces = [
        (coefficient, _look_up(word, table, name))
        for part, table in zip(parts, tables, strict=True)
        for coefficient, word in _read_sum(part, name)
    ]
    return _combine(name.strip(), pieces)


def as_functional(functional_or_name: str | Functional) -> Functional:
    """A functional given by name or as itself.

    Raises:
        FunctionalError: it is neither.
    """
    found = functional(functional_or_name) if isinstance(functional_or_name, str) else functional_or_name
    if not isinstance(found, Functional):
        raise FunctionalError(f"received {found!r} as a functional; pass a name or a jqc.xc.Functional.")
    return found


def _side(components: dict[str, str], *whole: str) -> dict[str, Functional]:
    """The names that may stand on one side of the comma: short ones, components by full name, `whole`."""
    short = {word: _component(name) for word, name in components.items()}
    full = {key(name): _component(name) for name in components.values()}
    return full | short | {word: _registered[word] for word in whole}


_TERM = re.compile(r"(?P<sign>[+-]?)(?:(?P<coefficient>(?:[\d.]+(?:e[+-]?\d+)?|nan|inf))\*)?(?P<name>[^\W\d]\w*)")


def _read_sum(text: str, received: str) -> Iterable[tuple[float, str]]:
    """Pairs (coefficient, word) of a sum such as `0.5*hf-b88`; nothing for an empty side of the comma."""
    text = re.sub(r"\s", "", text)
    for name in names():
        if "-" in name:  # a hyphen within a known name is no minus
            text = re.sub(rf"\b{re.escape(name.lower())}\b", key(name), text)
    position = 0
    while position < len(text):
        term = _TERM.match(text, position)
        if term is None or (position and not term["sign"]):
            raise FunctionalError(f'"{received}" cannot be read from "{text[position:]}" on: write 0.5*name + name.')
        yield _coefficient(term["coefficient"], received) * (-1 if term["sign"] == "-" else 1), term["name"]
        position = term.end()


def _coefficient(text: str | None, received: str) -> float:
    try:
        value = 1.0 if text is None else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FunctionalError(f'"{received}" has the coefficient {text}: write a finite number.')
    return value


def _look_up(word: str, table: dict[str, Functional], received: str) -> Functional:
    found = table.get(key(word)) or stored(word)
    if found is None:
        near = get_close_matches(key(word), table, n=4, cutoff=0.5)
        known = f"the nearest names are {', '.join(near)}" if near else f"there are {', '.join(sorted(table))}"
        where = "" if key(word) == key(received) else f' in "{received}"'
        raise FunctionalError(f'"{word}"{where} names no functional: {known}.')
    return found


def _combine(name: str, pieces: list[tuple[float, Functional]]) -> Functional:
    """Σ c·functional, with equal components and equal ω merged and zeros dropped."""
    if len(pieces) == 1 and pieces[0][0] == 1.0 and not isinstance(pieces[0][1], Semilocal):
        return pieces[0][1]
    terms: dict[str, float] = {}
    exchange: dict[float, float] = {}
    for coefficient, part in pieces:
        if not isinstance(part, Semilocal):
            raise FunctionalError(f'"{name}" adds a functional that is no closed form: use it by itself.')
        for component, weight in part.terms:
            terms[component] = terms.get(component, 0.0) + coefficient * weight
        for omega, weight in part.exchange:
            exchange[omega] = exchange.get(omega, 0.0) + coefficient * weight
    return Semilocal(
        name,
        tuple((component, weight) for component, weight in terms.items() if weight),
        tuple((omega, weight) for omega, weight in sorted(exchange.items()) if weight),
    )
