"""Densities to start from."""

import numpy as np

from jqc.errors import InputError
from jqc.scf.occupation import FILLED
from jqc.scf.result import SCFResult
from jqc.system import System
from jqc.system.basis import make_mole
from jqc.system.padding import pad_axis

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
        dm = _carried_over(system, guess) if isinstance(guess, SCFResult) else np.asarray(guess, dtype=float)
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


def _carried_over(system: System, result: SCFResult) -> np.ndarray:
    """Density of another geometry's orbitals, made orthonormal in the overlap of this one."""
    n_ao = int(system.n_ao)
    if result.dm.shape[-1] != n_ao:
        return np.asarray(result.dm)
    overlap = np.asarray(system.overlap)[:n_ao, :n_ao]
    mo_coeff, _, occupations = result.by_spin
    dms = []
    for orbitals, filled in zip(mo_coeff, occupations, strict=True):
        held = filled > FILLED
        a = orbitals[:, held]
        # Löwdin's orthonormal orbitals are the nearest ones, so that fractional occupations keep their meaning.
        values, vectors = np.linalg.eigh(a.T @ overlap @ a)
        nearest = a @ (vectors / np.sqrt(values)) @ vectors.T
        dms.append((nearest * filled[held]) @ nearest.T)
    return np.stack(dms) if result.dm.ndim == 3 else dms[0]


def _named(system: System, guess: str) -> np.ndarray:
    from pyscf.scf import hf

    if guess not in GUESSES:
        raise InputError(f"unknown initial guess {guess!r}; choose {', '.join(GUESSES)} or a density matrix.")
    if guess == "core":
        return np.zeros((int(system.n_ao),) * 2)
    mole = make_mole(system.molecule, system.basis)
    make = hf.init_guess_by_minao if guess == "minao" else hf.init_guess_by_atom
    return np.asarray(make(mole))
