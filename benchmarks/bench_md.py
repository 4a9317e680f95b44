"""Steps per second of Lennard-Jones fluids: jqc, bare jax-md, OpenMM on CPUs and ASE, and what a gradient costs.

All codes move the same atoms at constant energy with the same cutoff, switched off smoothly, and their usual lists of
neighbours, in double precision but for OpenMM's CPU platform, which has single precision alone. Times alternate and are
medians. The second table is of `Checkpointed` and `Adjoint` over 100 steps against 100 steps forward.

    python benchmarks/bench_md.py --json docs/results/bench_md.json
    python benchmarks/bench_md.py --quick
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import numpy as np
from measuring import environment, read_rows

from jqc.files import write_json

DENSITY, TEMPERATURE, CUTOFF, ONSET, SKIN, DT = 0.8, 1.0, 2.5, 2.25, 0.3, 0.002

SIZES = {"4k": 16, "32k": 32}
"""Atoms along an edge of the lattice."""

Advance = Callable[[int], None]
"""Makes so many steps."""


def fluid(n: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Positions on a lattice, momenta of the temperature, and the edge of the box."""
    edge = n / DENSITY ** (1 / 3)
    places = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * edge / n
    random = np.random.default_rng(0)
    momenta = random.normal(0, np.sqrt(TEMPERATURE), places.shape)
    return places + random.normal(0, 0.02, places.shape), momenta - momenta.mean(axis=0), edge


def of_jqc(n: int) -> Advance:
    """One chunk of a simulation."""
    from jqc.md import NVE, LennardJones, begin
    from jqc.md.chunk import run_chunk

    positions, momenta, edge = fluid(n)
    potential = LennardJones(1.0, 1.0, CUTOFF, ONSET)
    held = [
        begin(potential, NVE(), positions, np.ones(len(positions)), momenta=momenta, cell=np.full(3, edge), skin=SKIN)
    ]

    def advance(steps: int) -> None:
        held[0], frames = run_chunk(potential, NVE(), held[0], DT, steps, 1, 1)
        jax.block_until_ready(frames)

    return advance


def of_jax_md(n: int) -> Advance:
    """jax-md's neighbour list, energy and integrator in one compiled loop, as its users write it."""
    import jax.numpy as jnp
    from jax_md import energy, partition, simulate, space

    positions, momenta, edge = fluid(n)
    displacement, shift = space.periodic(edge)
    neighbor_fn, energy_fn = energy.lennard_jones_neighbor_list(
        displacement, edge, r_onset=ONSET, r_cutoff=CUTOFF, dr_threshold=SKIN, format=partition.Dense
    )
    init, apply = simulate.nve(energy_fn, shift, DT)
    neighbor = neighbor_fn.allocate(jnp.asarray(positions), extra_capacity=8)
    state = init(jax.random.key(0), jnp.asarray(positions), kT=TEMPERATURE, neighbor=neighbor)
    held = [(state.set(momentum=jnp.asarray(momenta)), neighbor)]

    @jax.jit
    def run(carry, steps):
        def one(_, carry):
            state, neighbor = carry
            neighbor = neighbor.update(state.position)
            return apply(state, neighbor=neighbor), neighbor

        return jax.lax.fori_loop(0, steps, one, carry)

    def advance(steps: int) -> None:
        held[0] = jax.block_until_ready(run(held[0], steps))

    return advance


def of_openmm(n: int) -> Advance:
    """OpenMM's CPU platform, argon's units."""
    import openmm
    from openmm import unit

    positions, momenta, edge = fluid(n)
    sigma, epsilon, mass = 0.34, 0.996, 39.95
    system, force = openmm.System(), openmm.NonbondedForce()
    system.setDefaultPeriodicBoxVectors(*(np.eye(3) * edge * sigma))
    for _ in positions:
        system.addParticle(mass)
        force.addParticle(0.0, sigma, epsilon)
    force.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    force.setCutoffDistance(CUTOFF * sigma)
    force.setUseSwitchingFunction(True)
    force.setSwitchingDistance(ONSET * sigma)
    force.setUseDispersionCorrection(False)
    system.addForce(force)
    time_unit = sigma * np.sqrt(mass / epsilon)  # ps
    integrator = openmm.VerletIntegrator(DT * time_unit)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("CPU"))
    context.setPositions(positions * sigma * unit.nanometer)
    context.setVelocities(momenta * sigma / time_unit * unit.nanometer / unit.picosecond)

    def advance(steps: int) -> None:
        integrator.step(steps)
        context.getState(getEnergy=True)

    return advance


def of_ase(n: int) -> Advance:
    """ASE's own Lennard-Jones and velocity Verlet."""
    from ase import Atoms
    from ase.calculators.lj import LennardJones
    from ase.md.verlet import VelocityVerlet

    positions, momenta, edge = fluid(n)
    atoms = Atoms("H" * len(positions), positions, cell=[edge] * 3, pbc=True)
    atoms.set_masses(np.ones(len(positions)))
    atoms.set_momenta(momenta)
    atoms.calc = LennardJones(sigma=1.0, epsilon=1.0, rc=CUTOFF, ro=ONSET, smooth=True)
    dynamics = VelocityVerlet(atoms, DT)
    return lambda steps: dynamics.run(steps)


CODES = {"jqc": of_jqc, "jax-md": of_jax_md, "openmm": of_openmm, "ase": of_ase}


def speeds(name: str, codes: list[str], seconds: float, repeats: int) -> list[dict]:
    """A row for each code, its steps per second the median of several turns of about so many seconds."""
    runs = {code: CODES[code](SIZES[name]) for code in codes}
    steps = {}
    for code, advance in runs.items():
        count = 1 if code == "ase" else 20
        advance(count)
        start = time.perf_counter()
        advance(count)
        steps[code] = max(1, round(seconds * count / (time.perf_counter() - start)))
        advance(steps[code])  # compiles, equilibrates
    found: dict[str, list[float]] = {code: [] for code in codes}
    for _ in range(repeats):
        for code, advance in runs.items():
            start = time.perf_counter()
            advance(steps[code])
            found[code].append(steps[code] / (time.perf_counter() - start))
    median = {code: statistics.median(values) for code, values in found.items()}
    return [
        {
            "system": name,
            "code": code,
            "atoms": SIZES[name] ** 3,
            "steps_per_s": median[code],
            "ratio_to_jqc": median["jqc"] / median[code],
        }
        for code in codes
    ]


def gradient_cost(repeats: int) -> list[dict]:
    """Seconds of a gradient through 100 steps of 4096 atoms over those of the steps."""
    from jqc.md import NVE, LennardJones, begin
    from jqc.md.gradients import Adjoint, Checkpointed, Sampling

    positions, momenta, edge = fluid(SIZES["4k"])
    potential = LennardJones(1.0, 1.0, CUTOFF, ONSET)
    ones, cell = np.ones(len(positions)), np.full(3, edge)
    state = begin(potential, NVE(), positions, ones, momenta=momenta, cell=cell, skin=SKIN)
    sampling = Sampling(DT, 10, 10, lambda state: state.energy)
    mean = lambda way: lambda potential: way.mean(potential, NVE(), state, sampling)[1]  # noqa: E731
    ways = {"checkpointed": Checkpointed(), "in segments": Checkpointed(memory=1), "adjoint": Adjoint()}
    runs = {"forward": jax.jit(mean(Checkpointed()))}
    runs |= {name: jax.jit(jax.grad(mean(way))) for name, way in ways.items()}
    found: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            jax.block_until_ready(run(potential))
            if turn:
                found[name].append(time.perf_counter() - start)
    forward = statistics.median(found["forward"])
    return [
        {
            "system": "4k, 100 steps",
            "code": name,
            "seconds": statistics.median(values),
            "ratio_to_forward": statistics.median(values) / forward,
        }
        for name, values in found.items()
    ]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="4k atoms of jqc and jax-md; under two minutes")
    parser.add_argument("--json", type=Path, help="write the rows here; rows that are there stay")
    parser.add_argument("--codes", nargs="+", choices=tuple(CODES), default=tuple(CODES))
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    codes = ["jqc", "jax-md"] if options.quick else list(options.codes)
    rows = read_rows(options.json, "system", "code")
    for name in ("4k",) if options.quick else SIZES:
        if (name, "jqc") not in rows:
            rows |= {
                (row["system"], row["code"]): row
                for row in speeds(name, codes, *((2.0, 3) if options.quick else (10.0, 5)))
            }
    if ("4k, 100 steps", "forward") not in rows:
        rows |= {(row["system"], row["code"]): row for row in gradient_cost(2 if options.quick else 5)}
    print(json.dumps(list(rows.values()), indent=1))
    if options.json:
        write_json(options.json, {"environment": environment(), "rows": list(rows.values())})


if __name__ == "__main__":
    main()
