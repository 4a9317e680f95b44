"""Learning curves: what training and validation measured, over the steps, on logarithmic axes."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from jqc.errors import InputError
from jqc.report.figure import CURVE, FRAME, STICK, TEXT, blank

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 6
"""Names in a row of the legend."""

Record = Mapping[str, Any]
"""A line of a run's metrics.jsonl."""


def learning_curves(records: Sequence[Record], title: str = "") -> "Figure":
    """The loss above, its terms below where there are any: lines from training, points and dashes from validation.

    A ring marks the best validation. A logarithmic axis shows magnitudes, |x|; what is not finite is left out.

    Raises:
        InputError: no training record.
    """
    training, validation = ([record for record in records if record["kind"] == kind] for kind in _KINDS)
    if not training:
        raise InputError("there is no training record to draw; hand over those of a run that has made some steps.")
    names = list(training[0]["terms"])
    figure, axes = blank(1 + bool(names), title)
    _draw(axes[0], training, validation, "loss", _loss, (CURVE, STICK))
    _mark_best(axes[0], validation)
    if names:
        from matplotlib import colormaps

        for name, colour in zip(names, colormaps["viridis"](np.linspace(0.0, 0.85, len(names))), strict=True):
            _draw(axes[1], training, validation, name, partial(_term, name), (colour, colour))
    axes[-1].set_xlabel("step", color=TEXT)
    for axis, name in zip(axes, ("loss", "terms"), strict=False):
        _finish(axis, f"{name} (dashed: validation)" if validation else name)
    return figure


_KINDS = ("training", "validation")


def _loss(record: Record) -> float | None:
    return record["loss"]


def _term(name: str, record: Record) -> float | None:
    return record["terms"].get(name)


def _draw(axis: "Axes", training, validation, name: str, value, colours) -> None:
    axis.plot(*_points(training, value), color=colours[0], linewidth=1.4, label=name)
    dashes = {"linestyle": "--", "linewidth": 1.0, "marker": "o", "markersize": 3.5}
    axis.plot(*_points(validation, value), color=colours[1], **dashes)


def _points(records: Sequence[Record], value) -> tuple[np.ndarray, np.ndarray]:
    """Steps and magnitudes; zeros and what is missing become gaps."""
    y = np.abs(np.array([np.nan if value(record) is None else value(record) for record in records], float))
    return np.array([record["step"] for record in records]), np.where(y > 0, y, np.nan)


def _mark_best(axis: "Axes", validation: Sequence[Record]) -> None:
    judged = [record for record in validation if record["loss"] is not None]
    if judged:
        best = min(judged, key=lambda record: record["loss"])
        x, y = _points([best], _loss)
        ring = {"marker": "o", "markersize": 9, "markerfacecolor": "none", "linestyle": "none"}
        axis.plot(x, y, color=STICK, label=f"best validation, {best['loss']:.3g} at step {best['step']}", **ring)


def _finish(axis: "Axes", name: str) -> None:
    axis.set_ylabel(name, color=TEXT)
    axis.set_yscale("log")
    axis.grid(axis="y", which="major", color=FRAME, alpha=0.2, linewidth=0.6)
    axis.tick_params(which="both", colors=FRAME, labelcolor=TEXT)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(FRAME)
    place = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "borderaxespad": 0.0}
    axis.legend(frameon=False, fontsize=8, ncols=COLUMNS, labelcolor=TEXT, **place)
