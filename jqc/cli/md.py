"""`jqc md`: simulate the motion of atoms."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from jqc.cli.calculation import NOT_CONVERGED, set_up_jax
from jqc.errors import InputError, SimulationError

if TYPE_CHECKING:
    from jqc.md.config import MdConfig
    from jqc.md.job import Progress


@dataclass(frozen=True)
class MdCommand:
    """Simulate the motion of atoms, from a configuration or from flags.

    A run that was stopped goes on where it was, with the same command. Exit code: 0 done, 2 bad input, 3 the simulation
    went wrong, 130 interrupted.
    """

    out: Annotated[Path, arg(metavar="RUN")]
    """Folder of the run: configuration, frames, and the state from which it goes on."""
    config: Annotated[Positional[Path | None], arg(metavar="CONFIG.toml")] = None
    """Configuration; flags change what it says."""
    file: Annotated[Path | None, arg(metavar="FILE")] = None
    """Geometry in XYZ or extended XYZ, in ångström; Lattice= makes a box."""
    potential: Annotated[str | None, arg(metavar="scf|lennard-jones|ase")] = None
    """What moves the atoms; None is that of the configuration, else scf. Another than the configuration's has the
    settings that are its defaults."""
    xc: Annotated[str | None, arg(metavar="NAME")] = None
    """Functional of an SCF."""
    basis: Annotated[str | None, arg(metavar="NAME")] = None
    """Orbital basis of an SCF."""
    ensemble: Annotated[str | None, arg(metavar="nve|langevin|nose-hoover|csvr|npt")] = None
    """Ensemble; None is that of the configuration, else nve."""
    temperature: Annotated[float | None, arg(metavar="KELVIN")] = None
    """Of the first momenta, and of the ensemble."""
    dt: Annotated[float | None, arg(metavar="FS")] = None
    """Time step in femtoseconds."""
    steps: Annotated[int | None, arg(metavar="INT")] = None
    """Steps in all; a run that has ended goes on with more."""
    stride: Annotated[int | None, arg(metavar="INT")] = None
    """Steps from one frame to the next."""
    seed: Annotated[int | None, arg(metavar="INT")] = None
    """Of momenta and thermostats."""
    also: Annotated[tuple[Path, ...], arg(metavar="OUT.xyz|.h5|.dcd|.xtc")] = ()
    """Files for other programs, written at the end."""

    def run(self) -> int:
        """Simulate, with a progress bar, and write what was asked for.

        Raises:
            InputError: something given cannot be used, or RUN holds another simulation.
        """
        set_up_jax()
        from jqc.md.convert import convert, known_suffix
        from jqc.md.job import run
        from jqc.md.trajectory import read

        config = self._config()
        for path in self.also:
            known_suffix(path)
        failed = None
        with _bar(config) as told:
            try:
                run(config, self.out, told)
            except SimulationError as error:
                failed = error
        for path in self.also:
            convert(read(self.out), path)
        if failed is not None:
            print("jqc:", failed, file=sys.stderr)
            return NOT_CONVERGED
        print(f"{config.steps} steps, {config.steps * config.dt * 1e-3:g} ps, in {self.out}")
        return 0

    def _config(self) -> "MdConfig":
        """The configuration with what the flags say in its place."""
        from jqc.files import read_toml
        from jqc.md.config import from_dict

        content: dict[str, Any] = read_toml(self.config) if self.config else {}
        plain = {
            "temperature": self.temperature,
            "dt": self.dt,
            "steps": self.steps,
            "stride": self.stride,
            "seed": self.seed,
        }
        content |= {name: value for name, value in plain.items() if value is not None}
        if self.file is not None:
            content["file"] = str(self.file)
        for name, kind in (("potential", self.potential), ("ensemble", self.ensemble)):
            if kind is not None and kind != content.get(name, {}).get("kind"):
                content[name] = {"kind": kind}
        of_scf = {name: value for name, value in (("xc", self.xc), ("basis", self.basis)) if value is not None}
        if of_scf:
            content["potential"] = {"kind": "scf"} | content.get("potential", {}) | of_scf
        try:
            return from_dict(content)
        except InputError as error:
            raise InputError(f"{self.config}: {error}" if self.config else str(error)) from None


@contextmanager
def _bar(config: "MdConfig") -> Iterator[Callable[["Progress"], None]]:
    """A bar in a terminal, a line after each chunk elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console()
    if not console.is_terminal:
        yield lambda progress: print(f"step {progress.step} | {_told(progress, config)}", flush=True)
        return
    columns = (
        TextColumn("{task.completed}/{task.total}"),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[told]}"),
    )
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("", total=config.steps, told="compiling")
        yield lambda progress: bar.update(task, completed=progress.step, told=_told(progress, config))


def _told(progress: "Progress", config: "MdConfig") -> str:
    from jqc.units import ELECTRONVOLT

    daily = progress.speed * config.dt * 86400 * 1e-6
    drift = progress.drift * ELECTRONVOLT
    return f"{progress.speed:.4g} steps/s | {daily:.3g} ns/day | {progress.temperature:.0f} K | drift {drift:+.2e} eV"
