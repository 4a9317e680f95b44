"""`jqc distill`: train a functional on a store of labels."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from jqc.cli.calculation import set_up_jax
from jqc.cli.interrupt import INTERRUPTED
from jqc.errors import InputError
from jqc.files import write_atomically
from jqc.process import KEPT_IN_TRAINING

if TYPE_CHECKING:
    from jqc.distill.config import DistillConfig

PLOT = "learning_curves.png"
"""In the run's folder."""


@dataclass(frozen=True)
class DistillCommand:
    """Train a functional on what a teacher says of molecules, from a configuration or from flags.

    A run that was stopped goes on where it was; an interrupt lets the step at work finish first, a second one does not.
    Exit code: 0 done, 2 bad input, 130 interrupted.
    """

    out: Annotated[Path, arg(metavar="RUN")]
    """Folder of the run: functional.npz, config.json, learning curves, checkpoints."""
    config: Annotated[Positional[Path | None], arg(metavar="CONFIG.toml")] = None
    """Configuration; flags change what it says."""
    data: Annotated[Path | None, arg(metavar="DIR")] = None
    """Labels to learn from, made by jqc label."""
    validation: Annotated[Path | None, arg(metavar="DIR")] = None
    """Labels to validate on; None holds back a tenth of the formulas of --data."""
    model: Annotated[str | None, arg(metavar="nn-mgga|xcdiff|eg-xc|skala-mgga")] = None
    """Architecture; None is that of the configuration, else xcdiff."""
    loss: Annotated[str | None, arg(metavar="e-rho|e-rho-grad|e-rho-grad-hess|scf|commutator|perturbative")] = None
    """Loss; None is that of the configuration, else e-rho-grad-hess. Another than the configuration's has the weights
    that are its defaults."""
    steps: Annotated[int | None, arg(metavar="INT")] = None
    """Batches to learn from."""
    seed: Annotated[int | None, arg(metavar="INT")] = None
    """Of parameters, order and tangents."""
    coordinator: Annotated[str | None, arg(metavar="HOST:PORT|auto")] = None
    """Train in a group of processes, each started with the same options but the last one: an address of the first at a
    free port. SLURM and Open MPI tell it and the numbers: auto."""
    processes: Annotated[int | None, arg(metavar="N")] = None
    """Processes of the group."""
    process_id: Annotated[int | None, arg(metavar="I")] = None
    """Number of this one, 0 to N-1; 0 is the first, which alone writes RUN and prints."""

    def run(self) -> int:
        """Train, with a live table, and draw learning curves.

        Raises:
            InputError: something given cannot be used, or RUN holds another run.
            GroupError: the group was not formed, or has lost a process.
        """
        set_up_jax(KEPT_IN_TRAINING)
        config = self._config()
        with self._in_group():
            return self._train(config)

    def _train(self, config: "DistillConfig") -> int:
        import jax

        from jqc.distill.run import FUNCTIONAL, distil
        from jqc.report import learning_curves, rendered
        from jqc.training import live_table, read_records

        first = jax.process_index() == 0
        with live_table() if first else nullcontext() as progress:
            done = distil(config, self.out, progress)
        interrupted = done.fitted.stopped == "interrupted"
        if first and interrupted:
            print(f"interrupted after {int(done.fitted.state.step)} steps; the same command goes on")
        elif first:
            records = read_records(self.out / "training" / "metrics.jsonl")
            figure = learning_curves(records, f"{config.model}, {self.out.name}")
            write_atomically(self.out / PLOT, rendered(figure, "png"))
            print(f"stopped: {done.fitted.stopped}; functional in {self.out / FUNCTIONAL}")
        return INTERRUPTED if interrupted else 0

    def _in_group(self) -> AbstractContextManager[None]:
        """Membership of a group, if one is asked for."""
        from jqc.group import Membership, member

        if self.coordinator is not None:
            return member(Membership(self.coordinator, self.processes, self.process_id))
        if self.processes is not None or self.process_id is not None:
            raise InputError("--processes and --process-id are of a group; give its --coordinator too.")
        return nullcontext()

    def _config(self) -> "DistillConfig":
        """The configuration with what the flags say in its place."""
        from jqc.distill.config import from_dict, read_content, with_changes

        flags = {"data": self.data, "validation": self.validation, "model": self.model}
        training = {"steps": self.steps, "seed": self.seed}
        content = read_content(self.config) if self.config else {}
        try:
            return from_dict(with_changes(content, flags, self.loss, training))
        except InputError as error:
            raise InputError(f"{self.config}: {error}" if self.config else str(error)) from None
