"""Pairs of orbitals that count, and factors that hold only those."""

from functools import cache

import numpy as np
import pytest

from jqc.system import Molecule
from jqc.system.basis import auxiliary_basis, make_mole
from jqc.system.factors import HostRows, Screened, Streamed, chunks, matrices, packed, read, rows_at_once
from jqc.system.repulsion import make_factor
from jqc.system.screening import NEGLIGIBLE_PAIR, pair_blocks, pair_bounds

FORMS = {"whole": "ArrayImpl", "screened": Screened.__name__, "streamed": Streamed.__name__}


@cache
def distant():
    """Water and helium far from it."""
    symbols = ["O", "H", "H", "He"]
    return make_mole(
        Molecule.from_arrays(symbols, [[0.0, 0.0, 0.2], [0.0, 1.4, -0.9], [0.0, -1.4, -0.9], [0.0, 0.0, 14.0]]),
        "def2-svp",
    )


@cache
def factor(storage, omega=0.0):
    mole = distant()
    return make_factor(mole, auxiliary_basis(mole, None)[0], omega, storage, 32)


def unpacked(form):
    return np.concatenate([matrices(form, read(form, 32, chunk), 32) for chunk in chunks(form, 32)])


def test_bounds_are_those_of_the_integrals():
    mole = distant()
    diagonal = np.sqrt(np.abs(np.einsum("mnmn->mn", mole.intor("int2e"))))
    where = mole.ao_loc_nr()
    largest = np.maximum.reduceat(np.maximum.reduceat(diagonal, where[:-1], 0), where[:-1], 1)
    np.testing.assert_allclose(pair_bounds(mole), largest, atol=1e-12)


def test_each_pair_that_counts_is_listed_once():
    mole = distant()
    listed = np.concatenate([block.places for block in pair_blocks(mole)])
    sizes = np.diff(mole.ao_loc_nr())
    counts = np.repeat(np.repeat(pair_bounds(mole) > NEGLIGIBLE_PAIR, sizes, 0), sizes, 1)
    expected = np.flatnonzero(counts[np.tril_indices(mole.nao)])
    assert sorted(listed) == expected.tolist()
    assert len(listed) < mole.nao * (mole.nao + 1) // 2  # helium's are not all there


@pytest.mark.parametrize("omega", [0.0, 0.4, -0.4])
@pytest.mark.parametrize("storage", ["screened", "streamed"])
def test_rows_are_those_of_all_pairs(storage, omega):
    held = factor(storage, omega)
    assert type(held).__name__ == FORMS[storage]
    np.testing.assert_allclose(unpacked(held), unpacked(factor("whole", omega)), atol=NEGLIGIBLE_PAIR)


@pytest.mark.parametrize("storage", FORMS)
def test_packed_pairs_meet_the_rows(storage):
    dm = np.random.default_rng(0).normal(size=(32, 32))
    held = factor(storage)
    rows = np.concatenate([read(held, 32, chunk) for chunk in chunks(held, 32)])
    expected = np.einsum("lmn,mn->l", unpacked(factor("whole")), dm)
    np.testing.assert_allclose(rows @ packed(held, dm), expected, atol=1e-7)


@pytest.mark.parametrize("storage", FORMS)
def test_the_host_sees_the_same_rows(storage):
    mole = distant()
    pairs = mole.nao * (mole.nao + 1) // 2
    expected = np.asarray(factor("whole"))[:100, :pairs]
    rows = HostRows(factor(storage), 100, mole.nao)
    vector, matrix = np.random.default_rng(1).normal(size=(2, 7, pairs))
    np.testing.assert_allclose(rows[3:40], expected[3:40], atol=NEGLIGIBLE_PAIR)
    np.testing.assert_allclose(rows @ vector[0], expected @ vector[0], atol=1e-7)
    left = matrix[:, :100]
    np.testing.assert_allclose(left @ rows, left @ expected, atol=1e-7)


def test_chunks_shrink_as_matrices_grow():
    held = factor("screened")
    assert rows_at_once(held, 32) == 16
    assert rows_at_once(held, 3000) == 2
