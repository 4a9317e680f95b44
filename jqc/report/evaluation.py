"""Figures of an evaluation: errors by size, density errors, starts of the teacher, excited states."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from jqc.report.figure import FRAME, PALETTE, TEXT, blank, named_axes, side_by_side
from jqc.report.measures import Content
from jqc.units import MILLIHARTREE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPREAD = 0.16
"""Places between functionals' points at one size."""

LEAST = 1e-3
"""Millihartree below which an error is drawn at this value."""

Rows = Sequence[Mapping[str, Any]]


def evaluation_figures(content: Content) -> "dict[str, Figure]":
    """Figures by title."""
    return {
        "Error of the total energy, by size": _by_size(content),
        "Energy error of the density, E_ρ": _density_errors(content),
        "Fock matrices that the teacher needs, by start": _starts(content),
        "Excitation energies": _excitations(content),
    }


def _coloured(content: Content) -> Iterator[tuple[str, str, Rows]]:
    for (name, made), colour in zip(content["functionals"].items(), cycle(PALETTE)):
        yield name, colour, made["molecules"]


def _values(rows: Rows, *keys: str) -> np.ndarray:
    """Columns of numbers, of rows that have all of them."""
    found = [[row[key] for key in keys] for row in rows if all(row[key] is not None for key in keys)]
    return np.array(found, float).reshape(-1, len(keys)).T


def _by_size(content: Content) -> "Figure":
    figure, (axis,) = blank(1)
    count = len(content["functionals"])
    for place, (name, colour, rows) in enumerate(_coloured(content)):
        sizes, errors = _values(rows, "heavy_atoms", "energy_error_hartree")
        errors = np.maximum(np.abs(errors) * MILLIHARTREE, LEAST)
        shift = SPREAD * (place - 0.5 * (count - 1))
        axis.plot(sizes + shift, errors, "o", color=colour, alpha=0.45, markersize=4, markeredgewidth=0)
        each = np.unique(sizes)
        means = [errors[sizes == size].mean() for size in each]
        axis.plot(each + shift, means, "-_", color=colour, linewidth=1.2, markersize=11, label=name)
    axis.set_yscale("log")
    _whole_numbers(axis)
    named_axes(axis, "heavy atoms", "|E − E*| / mEh")
    _legend(axis)
    return figure


def _density_errors(content: Content) -> "Figure":
    figure, (axis,) = blank(1)
    random = np.random.default_rng(0)
    names = list(content["functionals"])
    for place, (_, colour, rows) in enumerate(_coloured(content)):
        (errors,) = np.maximum(_values(rows, "density_energy_error_hartree") * MILLIHARTREE, LEAST)
        axis.plot(errors, place + random.uniform(-0.22, 0.22, len(errors)), "o", color=colour, alpha=0.5, markersize=4)
        if len(errors):
            axis.plot([np.mean(errors)] * 2, [place - 0.36, place + 0.36], color=colour, linewidth=2)
    axis.set_xscale("log")
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    named_axes(axis, "E_ref[P] − E_ref[P*] / mEh (line: mean)", "")
    return figure


def _starts(content: Content) -> "Figure":
    figure, (axis,) = blank(1)
    first = next(iter(content["functionals"].values()))["molecules"]
    starts = [("superposed atoms", FRAME, first, "fock_builds_minao"), ("PBE", FRAME, first, "fock_builds_pbe")]
    starts += [(f"own: {name}", colour, rows, "fock_builds") for name, colour, rows in _coloured(content)]
    for place, (_, colour, rows, key) in enumerate(starts):
        (builds,) = _values(rows, key)
        for value, number in Counter(builds.tolist()).items():
            axis.scatter(value, place, s=600 * number / len(builds), color=colour, alpha=0.35, linewidth=0)
        if len(builds):
            axis.plot(builds.mean(), place, "|", color=colour, markersize=20, markeredgewidth=2)
            axis.annotate(
                f"{builds.mean():.2f}",
                (builds.mean(), place),
                (4, 9),
                textcoords="offset points",
                fontsize=8,
                color=TEXT,
            )
    axis.set_yticks(range(len(starts)), [name for name, *_ in starts])
    axis.set_ylim(len(starts) - 0.4, -0.6)
    _whole_numbers(axis)
    named_axes(axis, "iterations of the teacher's SCF (area: share of molecules, line: mean)", "")
    return figure


def _excitations(content: Content) -> "Figure":
    figure, axes = side_by_side(2)
    for axis, kind in zip(axes, ("singlets", "triplets"), strict=True):
        ends = []
        for name, colour, rows in _coloured(content):
            keys = f"reference_{kind}_ev", f"{kind}_ev"
            pairs = [np.array([row[key] for key in keys]) for row in rows if all(row[key] for key in keys)]
            x, y = np.concatenate(pairs, axis=1) if pairs else np.zeros((2, 0))
            axis.plot(x, y, "o", color=colour, alpha=0.45, markersize=3.5, markeredgewidth=0, label=name)
            ends += [*x, *y]
        if ends:
            axis.axline((min(ends), min(ends)), slope=1, color=FRAME, linewidth=0.8)
        named_axes(axis, f"teacher's {kind} / eV", f"{kind} / eV")
    _legend(axes[0])
    return figure


def _whole_numbers(axis: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def _legend(axis: "Axes") -> None:
    place = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "borderaxespad": 0.0}
    axis.legend(frameon=False, fontsize=8, ncols=6, labelcolor=TEXT, **place)
