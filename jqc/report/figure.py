"""What all figures share: formats, colours, and panels made without any global state."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from jqc.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")
"""Endings of figure files."""

CURVE, STICK, TEXT, FRAME = "#1f4e79", "#c8553d", "#333333", "#888888"

PALETTE = (CURVE, STICK, "#5b8c5a", "#c9a227", "#8e6c8a", "#4aa3a2")
"""Colours of things that are compared, in turn."""


def figure_format(path: Path) -> str:
    """Format that a path's ending names.

    Raises:
        InputError: none of `FORMATS`.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path} is no figure that can be written; end it in {', '.join(FORMATS)}.")
    return path.suffix.lower()[1:]


def blank(panels: int, title: str = "") -> "tuple[Figure, list[Axes]]":
    """A figure of empty panels, one above the other, with a common x axis."""
    figure = _titled((8, 1.2 + 2.6 * panels), title)
    return figure, list(figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0])


def stacked(panels: int, title: str = "") -> "tuple[Figure, list[Axes]]":
    """A figure of empty panels, one above the other, each with an x axis of its own."""
    figure = _titled((8, 1.2 + 2.6 * panels), title)
    return figure, list(figure.subplots(panels, 1, squeeze=False)[:, 0])


def side_by_side(panels: int, title: str = "") -> "tuple[Figure, list[Axes]]":
    """A figure of empty panels in a row."""
    figure = _titled((8, 4.4), title)
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


def _titled(size: tuple[float, float], title: str) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, x=0.015, ha="left", fontsize=11, color=TEXT)
    return figure


def named_axes(axis: "Axes", x: str, y: str) -> None:
    """Names on the axes, and a frame that keeps in the background."""
    axis.set_xlabel(x, color=TEXT)
    axis.set_ylabel(y, color=TEXT)
    axis.grid(which="major", color=FRAME, alpha=0.2, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(which="both", colors=FRAME, labelcolor=TEXT)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(FRAME)


def rendered(figure: "Figure", kind: str) -> bytes:
    """A figure's file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=160)
    return buffer.getvalue()
