"""What a step of DI-Loss costs in evaluations of energy and Fock matrix, and the memory that it takes.

A step is value and parameter gradient of all terms along one tangent, at the solution and at one of two displaced
densities; an evaluation is the student's energy and Fock matrix with the Coulomb term. Both are of the same molecule,
functional and compact quadrature, in single precision, and evaluate the orbitals on the grid first. Medians of several
warm runs, of both in turn. Orbitals and labels are random numbers: time and memory do not depend on them, and no SCF is
needed. The goal is a ratio of `GOAL`.

    python benchmarks/distill/bench_loss.py --json docs/results/bench_loss.json
"""

import argparse
import itertools
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jqc
from jqc.distill.example import Example, make_example, stack, with_integrals
from jqc.distill.losses import DILoss
from jqc.process import KEPT_IN_TRAINING, keep_freed_memory, single_threaded_blas
from jqc.scf.kernel import reference
from jqc.system.basis import make_mole
from jqc.system.sampled import with_orbitals
from jqc.xc.neural.architectures import ARCHITECTURES, create

MOLECULES = Path(__file__).parents[2] / "examples" / "molecules"
BASIS, TEACHER, TANGENTS = "def2-svp", "b3lyp", 2
GOAL = 8.0


def labels_of(molecule: jqc.Molecule, n_ao: int) -> dict[str, np.ndarray]:
    """Arrays as a record holds them: orthonormal orbitals in place of solved ones, and random numbers."""
    random = np.random.default_rng(0)
    occ = molecule.n_alpha
    shape = (1, n_ao - occ, occ)
    draw = lambda *lengths: 1e-2 * random.normal(size=(*lengths, *shape))  # noqa: E731
    return {
        "mo_coeff": np.linalg.qr(random.normal(size=(n_ao, n_ao)))[0][None],
        "mo_energy": np.linspace(-20.0, 3.0, n_ao)[None],
        "tangents": draw(TANGENTS),
        "exchange_energies_0": np.full(1 + TANGENTS, -1.0),
        "exchange_gradients_0": draw(1 + TANGENTS),
        "exchange_products_0": draw(TANGENTS),
    }


def example_of(name: str, integrals: bool) -> Example:
    """One example in single precision, integrals as well."""
    molecule = jqc.Molecule.from_xyz(MOLECULES / f"{name}.xyz")
    example = make_example(labels_of(molecule, make_mole(molecule, BASIS).nao), molecule, BASIS)
    example = with_integrals(example, molecule, BASIS) if integrals else example
    single = jax.tree.map(lambda leaf: leaf[0], stack([example]))
    narrow = lambda leaf: leaf.astype(np.float32) if np.issubdtype(leaf.dtype, np.floating) else leaf  # noqa: E731
    return jax.tree.map(jnp.asarray, replace(single, integrals=jax.tree.map(narrow, single.integrals)))


def training_step(student, example: Example, key):
    """Loss and its gradient by the student's parameters."""
    teacher = jqc.functional(TEACHER)
    loss = DILoss()
    return jax.value_and_grad(lambda student: loss(student, teacher, example, key)[0])(student)


def evaluation(student, example: Example):
    """Energy and Fock matrix at the labelled density."""
    example = replace(example, sampled=with_orbitals(example.sampled))
    occupied = jnp.sqrt(2.0).astype(jnp.float32) * example.points.occupied[0]
    held = reference(student, example.system, occupied @ jnp.swapaxes(occupied, -1, -2), occupied)
    return held.energy, held.fock


def compiled(function: Callable, *arguments) -> tuple[Callable, float]:
    """A program for these arguments, and seconds to compile it."""
    start = time.perf_counter()
    program = jax.jit(function).lower(*arguments).compile()
    return program, time.perf_counter() - start


def seconds_of(functions: Sequence[Callable], repeats: int) -> np.ndarray:
    """Seconds of warm runs, (repeat, function): in turn, so that what else the machine does falls on all alike."""
    taken = np.empty((repeats + 1, len(functions)))
    for run, place in np.ndindex(taken.shape):
        start = time.perf_counter()
        jax.block_until_ready(functions[place]())
        taken[run, place] = time.perf_counter() - start
    return taken[1:]


def cost_row(name: str, model: str, repeats: int) -> dict:
    """Seconds of a step and of an evaluation, and how many of these a step takes."""
    example, student = example_of(name, integrals=True), create(model, jax.random.key(0))
    one, without = (student, example), (student, replace(example, integrals=None), jax.random.key(0))
    step, step_compile = compiled(training_step, *without)
    fock, _ = compiled(evaluation, *one)
    with single_threaded_blas():
        taken = seconds_of((partial(step, *without), partial(fock, *one)), repeats)
    step_seconds, fock_seconds = np.median(taken, axis=0).tolist()
    ratio = float(np.median(taken[:, 0] / taken[:, 1]))
    points = sum(group.weights.size for group in example.sampled.groups)
    values = {"points": points, "compile_s": step_compile, "step_s": step_seconds, "fock_s": fock_seconds}
    return values | {"ratio": ratio, "within_goal": ratio <= GOAL}


def memory_row(name: str, model: str) -> dict:
    """Temporary memory of the compiled step; it does not run."""
    arguments = create(model, jax.random.key(0)), example_of(name, integrals=False), jax.random.key(0)
    return {"temporary_gb": compiled(training_step, *arguments)[0].memory_analysis().temp_size_in_bytes / 1e9}


def environment() -> dict:
    """What the figures were measured with."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=MOLECULES).stdout.strip()
    return {
        "commit": commit,
        "machine": platform.processor() or platform.machine(),
        "device": jax.devices()[0].device_kind,
        "threads": len(os.sched_getaffinity(0)),
        "dtype": "float32",
        "date": time.strftime("%Y-%m-%d"),
        "versions": {name: version(name) for name in ("jax", "jaxlib", "flax", "numpy")},
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--molecules", nargs="*", default=("ethanol", "benzene"), help="molecules to time")
    parser.add_argument("--memory", nargs="*", default=("aspirin",), help="molecules whose step is compiled only")
    parser.add_argument("--models", nargs="+", default=tuple(ARCHITECTURES))
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--quick", action="store_true", help="water and one architecture, to see that it works")
    options = parser.parse_args()
    if options.quick:
        options.molecules, options.memory, options.models, options.repeats = ("water",), ("water",), ("xcdiff",), 2
    keep_freed_memory(KEPT_IN_TRAINING)
    jax.config.update("jax_enable_x64", True)
    tasks = [
        (partial(cost_row, repeats=options.repeats), *each)
        for each in itertools.product(options.molecules, options.models)
    ]
    tasks += [(memory_row, *each) for each in itertools.product(options.memory, options.models)]
    rows = []
    for measure, name, model in tasks:
        rows.append({"molecule": name, "model": model} | measure(name, model))
        print(" ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in rows[-1].items()), flush=True)
        if options.json:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps({"environment": environment(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
