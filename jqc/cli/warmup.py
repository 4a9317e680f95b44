"""`jqc warmup`: the programs that molecules of some files will need, in the cache of compiled programs."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from jqc.cli.calculation import set_up_jax

if TYPE_CHECKING:
    from jqc.distill.labelling import Frame
    from jqc.distill.labels import LabelSettings
    from jqc.system import Molecule


@dataclass(frozen=True)
class WarmupCommand:
    """Compile what a later command will need, so that it compiles nothing.

    One molecule of each size class, closed and open shells apart, is computed as the command would do it. Exit code: 0
    done, 2 bad input.
    """

    files: Annotated[Positional[tuple[Path, ...]], arg(metavar="FILES")]
    """Geometries in XYZ or extended-XYZ format, in ångström; every frame for `label`, the first one for `scf`."""
    task: Literal["label", "scf"] = "label"
    """Command to get ready for: `label` (and batches of SCFs), or `scf`, which has each molecule's own lengths."""
    xc: Annotated[str, arg(metavar="NAME")] = "b3lyp"
    """Functional."""
    basis: Annotated[str, arg(metavar="NAME")] = "def2-svp"
    """Orbital basis."""
    aux_basis: Annotated[str | None, arg(metavar="NAME")] = None
    """Fitting set; None chooses one for the orbital basis."""
    grid_level: Annotated[int, arg(metavar="0-9")] = 3
    """Quadrature grid, from coarse to fine."""
    coulomb: Literal["df", "exact"] = "df"
    """Two-electron integrals: density fitting, or exact."""
    derivatives: Annotated[int, arg(metavar="K")] = 2
    """Random tangents of labels; 0 for none."""

    def run(self) -> int:
        """Compute one molecule of each kind, and tell what was compiled.

        Raises:
            InputError: something given cannot be used; no work has been done.
        """
        set_up_jax()
        from jqc.distill.labelling import frames_in
        from jqc.distill.labels import LabelSettings
        from jqc.errors import ConvergenceError, InputError
        from jqc.programs import counted
        from jqc.xc import functional

        settings = LabelSettings(self.xc, self.basis, self.aux_basis, self.coulomb, self.grid_level, self.derivatives)
        functional(settings.functional)
        frames = frames_in(self.files)
        started = time.perf_counter()
        with counted() as programs:
            kinds = _of_labels(frames, settings) if self.task == "label" else _of_scf(frames, settings)
            for done, (name, compute) in enumerate(kinds, start=1):
                try:
                    compute()
                except (ConvergenceError, InputError) as error:
                    print(f"{name} failed: {error}", file=sys.stderr, flush=True)
                print(f"{done} of {len(kinds)}: {name}, {programs.compiled} programs compiled", flush=True)
        print(
            f"{len(kinds)} kinds of molecules: {programs.compiled} programs compiled, {programs.found} found in the "
            f"cache, {time.perf_counter() - started:.0f} s"
        )
        return 0


def _of_labels(frames: "list[Frame]", settings: "LabelSettings") -> list[tuple[str, Callable[[], object]]]:
    """A label of one molecule of each size class and of each of its spins; the table of classes is printed."""
    from jqc.distill.labels import label
    from jqc.system import size_classes

    molecules = [frame.molecule for frame in frames]
    classes = size_classes(molecules, settings.basis, settings.aux_basis, settings.grid_level)
    print(classes, flush=True)
    kinds = {(room, molecules[place].spin == 0): place for place, room in reversed(classes.rooms.items())}
    return [
        (frames[place].name, partial(label, molecules[place], frames[place].name, settings, room))
        for (room, _), place in kinds.items()
    ]


def _of_scf(frames: "list[Frame]", settings: "LabelSettings") -> list[tuple[str, Callable[[], object]]]:
    """One iteration for the first frame of each file; as many as it takes run the same program."""
    from jqc.scf import scf

    def once(molecule: "Molecule") -> None:
        scf(settings.system(molecule), settings.functional, max_iterations=1)

    return [(frame.name, partial(once, frame.molecule)) for frame in frames if frame.name.endswith("-00000")]
