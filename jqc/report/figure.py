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
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.2 + 2.6 * panels), layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, x=0.015, ha="left", fontsize=11, color=TEXT)
    return figure, list(figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0])


def rendered(figure: "Figure", kind: str) -> bytes:
    """A figure's file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=160)
    return buffer.getvalue()
