"""The `jqc` command; heavy packages are imported only by a running subcommand, so that help is quick."""

import io
import os
import sys
from collections.abc import Sequence
from typing import Protocol

from jqc.cli.interrupt import ending_on_interrupt
from jqc.errors import InputError

BAD_INPUT = 2
"""Exit code for input that cannot be used, usage errors included."""


class Command(Protocol):
    """A parsed subcommand."""

    def run(self) -> int:
        """Do the work and return the exit code."""
        ...


def main() -> None:
    """Run the command line and exit: 0 done, 2 bad input, 3 not converged, 130 interrupted."""
    with ending_on_interrupt():
        sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code; input that cannot be used gets one line on stderr.

    Raises:
        SystemExit: help was asked for, or the arguments describe no command.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Å still gets its table
    # The compiler logs an error where a cached program was tuned for what is no feature of the processor.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        code = parse(arguments).run()
        sys.stdout.flush()
        return code
    except InputError as error:
        print("jqc:", " ".join(str(error).split()), file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:  # whoever read the output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def parse(arguments: Sequence[str]) -> Command:
    """The command that the arguments describe.

    Raises:
        SystemExit: help was asked for, or the arguments describe no command.

    >>> parse(["scf", "water.xyz", "--xc", "b3lyp"]).xc
    'b3lyp'
    """
    import tyro

    from jqc.cli.distill import DistillCommand
    from jqc.cli.evaluate import EvaluateCommand
    from jqc.cli.excite import ExciteCommand
    from jqc.cli.forces import ForcesCommand
    from jqc.cli.info import InfoCommand
    from jqc.cli.label import LabelCommand
    from jqc.cli.md import MdCommand
    from jqc.cli.observe import ObserveCommand
    from jqc.cli.optimize import OptimizeCommand
    from jqc.cli.scf import ScfCommand
    from jqc.cli.vibrations import VibrationsCommand
    from jqc.cli.warmup import WarmupCommand

    return tyro.extras.subcommand_cli_from_dict(
        {
            "scf": ScfCommand,
            "forces": ForcesCommand,
            "optimize": OptimizeCommand,
            "vibrations": VibrationsCommand,
            "excite": ExciteCommand,
            "md": MdCommand,
            "observe": ObserveCommand,
            "label": LabelCommand,
            "distill": DistillCommand,
            "evaluate": EvaluateCommand,
            "warmup": WarmupCommand,
            "info": InfoCommand,
        },
        prog="jqc",
        description="Differentiable quantum chemistry in JAX.",
        args=arguments,
    )


if __name__ == "__main__":
    main()
