"""`scf_batch`: many systems to convergence, side by side on cores, in slots of one program, or over devices."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

import jax
import numpy as np
from jax.sharding import Mesh

from jqc.errors import InputError
from jqc.process import cores
from jqc.scf.lanes import Posing, in_lanes
from jqc.scf.problem import Problem, Solver, posed
from jqc.scf.refill import in_slots
from jqc.scf.result import SCFResult
from jqc.scf.step import SCFSettings
from jqc.system import System
from jqc.system.spread import is_local
from jqc.xc.base import Functional
from jqc.xc.registry import as_functional

Guess = str | np.ndarray | SCFResult

WIDTH = 16
"""Slots of a program on an accelerator; on CPUs one molecule at a time is fastest."""


def scf_batch(
    systems: Iterable[System],
    functional: str | Functional = "pbe",
    guess: str | Iterable[Guess] = "minao",
    *,
    restricted: bool | None = None,
    max_iterations: int = 100,
    settings: SCFSettings = SCFSettings(),  # noqa: B008 - frozen
    width: int | None = None,
    lanes: int | None = None,
    mesh: Mesh | None = None,
) -> Iterator[SCFResult]:
    """Solve the Kohn–Sham equations of many systems; results are those of `scf`, in the order of the systems.

    Systems of the same shapes share programs, see `build_systems`. They may be made lazily: a bounded number is taken
    ahead of the result that is asked for. An error of one system is raised in the place of its result, and the iterator
    goes on with the next one.

    Parameters
    ----------
    systems, functional
        As of `scf`.
    guess
        A name for all, or one guess for each system.
    restricted, max_iterations, settings
        As of `scf`.
    width
        Slots of a program that advance together, on each device. A slot is refilled as soon as its molecule ends. By
        default 1 on CPUs, where batched products are slow, and `WIDTH` on accelerators.
    lanes
        Threads with an SCF of their own, by default as many as cores, where the width is 1 and there is no mesh.
    mesh
        Devices over which slots are spread; each advances its own.

    Raises
    ------
    InputError
        An unknown functional, no width or no lane, or lanes together with a width or mesh. What is wrong with a single
        system is raised when its result is asked for.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> import jqc
    >>> pairs = [jqc.Molecule.from_arrays(["H", "H"], [[0.0, 0.0, 0.0], [0.0, 0.0, z]]) for z in (1.3, 1.4, 1.5)]
    >>> systems = jqc.build_systems(pairs, "def2-svp", grid_level=0)
    >>> [f"{result.check().energy:.4f}" for result in jqc.scf_batch(systems, "pbe")]
    ['-1.1548', '-1.1587', '-1.1592']
    """
    how = Solver(settings, "auto", max_iterations)
    on_cpu = (mesh.devices.flat[0] if mesh is not None else jax.devices()[0]).platform == "cpu"
    width = (1 if on_cpu else WIDTH) if width is None else width
    threaded = width == 1 and mesh is None
    if width < 1 or (lanes is not None and (lanes < 1 or not threaded)):
        raise InputError(
            f"width {width} and {lanes} lanes cannot be had; give a width of at least 1, and lanes, at least 1, only "
            "where the width is 1 and there is no mesh."
        )
    problems = _problems(systems, as_functional(functional), guess, restricted, threaded)
    if threaded:
        return map(_result, in_lanes(problems, how, lanes or cores()))
    return map(_result, in_slots(problems, how, width, Mesh(jax.devices()[:1], "slot") if mesh is None else mesh))


def _result(future: Future[SCFResult]) -> SCFResult:
    """The result, or its error; `map` goes on after an error where a generator would end."""
    return future.result()


def _problems(
    systems: Iterable[System],
    functional: Functional,
    guess: str | Iterable[Guess],
    restricted: bool | None,
    threaded: bool,
) -> Iterator[Posing]:
    """What poses each problem, as systems and guesses come."""
    guesses = iter(guess)
    source = iter(systems)
    while True:
        try:
            system = next(source)
        except StopIteration:
            return
        except Exception as error:  # of whatever makes the systems, in the place of one
            yield partial(_refused, error)
            continue
        here = guess if isinstance(guess, str) else next(guesses, None)
        yield partial(_posed, system, functional, here, restricted, threaded)


def _refused(error: Exception) -> Problem:
    raise error


def _posed(
    system: System, functional: Functional, guess: Guess | None, restricted: bool | None, threaded: bool
) -> Problem:
    if guess is None:
        raise InputError("there are more systems than guesses; give one for each, or the name of one for all.")
    if not threaded and not is_local(system):
        raise InputError(
            "a system that streams integrals from the host, or is spread over devices, has no place in a slot; leave "
            "out width and mesh."
        )
    if not threaded:
        system = replace(system, coarse=())
    return posed(system, functional, guess, restricted)
