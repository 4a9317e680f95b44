"""`jqc observe`: numbers, curves and figures of a trajectory."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from jqc.cli.calculation import outputs, set_up_jax
from jqc.errors import InputError
from jqc.files import write_atomically, write_json

if TYPE_CHECKING:
    from jqc.md.observed import Curve
    from jqc.md.trajectory import Trajectory


@dataclass(frozen=True)
class ObserveCommand:
    """Look at a trajectory of jqc md.

    Exit code: 0 done, 2 bad input.
    """

    run_folder: Annotated[Positional[Path], arg(metavar="RUN")]
    """Folder of the run."""
    what: Annotated[tuple[str, ...], arg(metavar="energy|rdf|h|msd|rmsd|vdos|ir|raman|free-energy")] = ("energy",)
    """What to look at."""
    along: Annotated[str, arg(metavar="VARIABLE")] = ""
    """Of a free energy: "distance 0 1", "angle 0 1 2" or "dihedral 0 1 2 3"; by default that of the run's bias."""
    skip: Annotated[int, arg(metavar="INT")] = 0
    """Frames at the beginning that are left out."""
    plot: Annotated[Path | None, arg(metavar="OUT.png")] = None
    """Draw the curves here: .png, .svg or .pdf."""
    json: Annotated[Path | None, arg(metavar="OUT.json")] = None
    """Write curves and numbers here as JSON."""

    def run(self) -> int:
        """Read, compute, print, write.

        Raises:
            InputError: something given cannot be used; no file has been touched.
        """
        from jqc.md.landscape import free_energy
        from jqc.md.observed import KINDS
        from jqc.report import figure_format, panels, rendered

        kinds = KINDS | {"free-energy": partial(free_energy, self.run_folder, self.along)}
        if unknown := [name for name in self.what if name not in kinds]:
            raise InputError(f"{unknown[0]!r} cannot be looked at; choose {', '.join(kinds)}.")
        plot_path, json_path = outputs(self.run_folder, plot=self.plot, json=self.json)
        kind = figure_format(self.plot) if self.plot else ""
        set_up_jax()
        trajectory = self._trajectory()
        curves = [kinds[name](trajectory) for name in self.what]
        _print(curves)
        if plot_path:
            write_atomically(plot_path, rendered(panels(curves, self.run_folder.name), kind))
        if json_path:
            write_json(json_path, {curve.name: _plain(curve) for curve in curves})
        return 0

    def _trajectory(self) -> "Trajectory":
        import dataclasses

        import jax

        from jqc.md.trajectory import read

        whole = read(self.run_folder)
        count = len(whole.frames.step)
        if not 0 <= self.skip < count:
            raise InputError(f"--skip is {self.skip} of {count} frames; give 0 to {count - 1}.")
        return dataclasses.replace(whole, frames=jax.tree.map(lambda each: each[self.skip :], whole.frames))


def _print(curves: "list[Curve]") -> None:
    from jqc.cli.summary import print_columns

    rows = [(curve.name, name, *number) for curve in curves for name, number in curve.numbers.items()]
    columns = {
        "of": [row[0] for row in rows],
        "": [row[1] for row in rows],
        "value": [f"{row[2]:.6g}" for row in rows],
        "error": ["" if row[3] is None else f"{row[3]:.2g}" for row in rows],
    }
    print_columns(columns, left=("of", ""))


def _plain(curve: "Curve") -> dict:
    numbers = {name: {"value": value, "error": error} for name, (value, error) in curve.numbers.items()}
    return {curve.x_name: curve.x.tolist(), curve.y_name: curve.y.tolist(), "numbers": numbers}
