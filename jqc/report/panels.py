"""Curves of different things, one above the other, each with axes of its own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jqc.report.figure import CURVE, named_axes, stacked

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jqc.md.observed import Curve


def panels(curves: "Sequence[Curve]", title: str = "") -> "Figure":
    """A panel for each curve."""
    figure, axes = stacked(len(curves), title)
    for axis, curve in zip(axes, curves, strict=True):
        axis.plot(curve.x, curve.y, color=CURVE, linewidth=1.2)
        axis.margins(x=0.01)
        named_axes(axis, curve.x_name, curve.y_name)
    return figure
