"""`jqc label`: what a teacher functional says of every molecule of some files, in a store."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from jqc.cli.calculation import set_up_jax
from jqc.cli.info import installation, versions
from jqc.errors import InputError

if TYPE_CHECKING:
    from jqc.data.tasks import Outcome

FAILURES = 3
"""Exit code where some molecules could not be labelled."""


@dataclass(frozen=True)
class LabelCommand:
    """Label molecules with a functional: solution, energy, density, orbitals, derivatives on the Grassmannian.

    Killed and started again with the same arguments it goes on where it was. Exit code: 0 done, 3 some molecules failed
    and are noted in the store, 2 bad input.
    """

    files: Annotated[Positional[tuple[Path, ...]], arg(metavar="FILES")]
    """Geometries in XYZ or extended-XYZ format, in ångström; every frame is labelled."""
    out: Annotated[Path, arg(metavar="DIR")]
    """Folder of the store, one HDF5 file for each frame."""
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
    """Random tangents along which derivatives are taken; 0 for none."""
    seed: Annotated[int, arg(metavar="INT")] = 0
    """Of the tangents."""
    workers: Annotated[int, arg(metavar="N")] = 1
    """Processes at work."""
    scheduler: Annotated[str | None, arg(metavar="ADDRESS")] = None
    """Of a Dask cluster whose workers do the work, as tcp://HOST:8786, or its file NAME.json."""

    def run(self) -> int:
        """Label, with a progress bar.

        Raises:
            InputError: something given cannot be used; no work has been done.
        """
        set_up_jax()
        from jqc.data.progress import with_progress
        from jqc.data.store import open_store
        from jqc.distill.labelling import frames_in, plan, refuse_others, run_task
        from jqc.distill.labels import LabelSettings
        from jqc.xc import functional

        if self.workers < 1:
            raise InputError(f"--workers is {self.workers}; give 1 or more.")
        if self.workers > 1 and self.scheduler is not None:
            raise InputError("--workers starts processes here, --scheduler has the cluster's own; give one of the two.")
        settings = LabelSettings(
            self.xc, self.basis, self.aux_basis, self.coulomb, self.grid_level, self.derivatives, self.seed
        )
        functional(settings.functional)
        frames = frames_in(self.files)
        folder = self.out.absolute()  # workers may be started elsewhere
        with self._labour() as run:
            planned = plan(frames, folder, settings)
            store = open_store(folder, settings.as_dict(), versions())
            refuse_others(store, frames)
            known = {*store.names(), *store.failures()}
            tasks = {task.name: task for task in planned if task.name not in known}
            print(f"{len(frames)} molecules, {len(frames) - len(tasks)} done before", flush=True)
            outcomes = run(run_task, tasks, initializer=partial(_prepare, folder, settings.functional))
            for outcome in with_progress(outcomes, len(tasks), "labels"):
                if outcome.error is not None:
                    store.fail(outcome.name, outcome.error)
                    print(f"{outcome.name} failed: {outcome.error}", file=sys.stderr, flush=True)
        failures = {frame.name for frame in frames} & {*store.failures()}
        print(f"{len(frames) - len(failures)} labels in {self.out}, {len(failures)} failures")
        return FAILURES if failures else 0

    @contextmanager
    def _labour(self) -> Iterator[Callable[..., "Iterator[Outcome]"]]:
        """How tasks are run: on devices, in processes, or on a cluster, which answers before any file is made."""
        import jax

        from jqc.data.tasks import run_in_threads, run_tasks

        if self.scheduler is None:
            places = [partial(jax.default_device, device) for device in jax.local_devices()]
            shared = self.workers == 1 and len(places) > 1
            yield partial(run_in_threads, contexts=places) if shared else partial(run_tasks, workers=self.workers)
            return
        from jqc.data.cluster import run_on_cluster
        from jqc.data.scheduler import connected

        with connected(self.scheduler, installation) as cluster:
            yield partial(run_on_cluster, cluster)


def _prepare(folder: Path, teacher: str) -> None:
    """Make a process ready for labels, or raise where it does not see what it needs, before it computes."""
    set_up_jax()
    from jqc.data.store import open_store
    from jqc.xc import functional

    open_store(folder)
    functional(teacher)
