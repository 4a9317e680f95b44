"""Densities to start from."""

import numpy as np

from jqc.errors import InputError
from jqc.scf.occupation import FILLED
from jqc.scf.result import SCFResult
from jqc.system import System
from jqc.system.basis import make_mole
from jqc.system.padding import pad_axis
from jqc.typing import Float

GUESSES = ("minao", "atom", "core")
"""Superposed minimal-basis atoms, superposed atomic SCF densities, bare nuclei."""


def initial_dm(system: System, guess: str | np.ndarray | SCFResult, n_spins: int) -> np.ndarray:
    """Padded density matrices (spin, ao, ao) to start from.

    A named guess, a given density matrix, or the result of another geometry, whose occupied orbitals are made
    orthonormal here.

    Raises:
        InputError: an unknown name, or a density matrix of the wrong shape.
    """
    n_ao = int(system.n_ao)
    if isinstance(guess, str):
        dm = _named(system, guess)
    else:
        dm = _of_result(system, guess) if isinstance(guess, SCFResult) else np.asarray(guess, dtype=float)
    if dm.shape not in ((n_ao, n_ao), (2, n_ao, n_ao)):
        raise InputError(
            f"the density matrix to start from has shape {dm.shape}; this system needs {(n_ao, n_ao)} or "
            f"{(2, n_ao, n_ao)}."
        )
    if n_spins == 1:
        spins = dm[None] if dm.ndim == 2 else dm.sum(0, keepdims=True)
    else:
        spins = dm if dm.ndim == 3 else np.stack([dm, dm]) * 0.5
    return pad_axis(pad_axis(spins, system.n_padded, -1), system.n_padded, -2)


def carried_over(
    system: System, mo_coeff: Float[np.ndarray, "spin ao mo"], occupations: Float[np.ndarray, "spin mo"]
) -> Float[np.ndarray, "*spin ao ao"]:
    """Density of another geometry's orbitals, made orthonormal in the overlap of this one."""
    n_ao = int(system.n_ao)
    overlap = np.asarray(system.overlap)[:n_ao, :n_ao]
    dms = []
    for orbitals, filled in zip(mo_coeff, occupations, strict=True):
        held = filled > FILLED
        a = orbitals[:, held]
        # Löwdin's orthonormal orbitals are the nearest ones, so that fractional occupations keep their meaning.
        values, vectors = np.linalg.eigh(a.T @ overlap @ a)
        nearest = a @ (vectors / np.sqrt(values)) @ vectors.T
        dms.append((nearest * filled[held]) @ nearest.T)
    return np.stack(dms) if len(dms) == 2 else dms[0]


def _of_result(system: System, result: SCFResult) -> np.ndarray:
    """A result's density, carried over where the orbitals are as many; else as it is, to be refused."""
    if result.dm.shape[-1] != int(system.n_ao):
        return np.asarray(result.dm)
    mo_coeff, _, occupations = result.by_spin
    return carried_over(system, mo_coeff, occupations)


def _named(system: System, guess: str) -> np.ndarray:
    from pyscf.scf import hf

    if guess not in GUESSES:
        raise InputError(f"unknown initial guess {guess!r}; choose {', '.join(GUESSES)} or a density matrix.")
    if guess == "core":
        return np.zeros((int(system.n_ao),) * 2)
    mole = make_mole(system.molecule, system.basis)
    make = hf.init_guess_by_minao if guess == "minao" else hf.init_guess_by_atom
    return np.asarray(make(mole))
