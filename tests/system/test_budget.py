"""Estimates of memory, and where integrals go therefore."""

import pytest

import jqc
from jqc.errors import InputError, MemoryLimitError
from jqc.system import Molecule
from jqc.system.basis import make_mole
from jqc.system.budget import ORBITAL_STEP, Size, atomic_points, memory_bytes, plan
from jqc.system.grid import molecular_grid

SMALL = Size(orbitals=100, fitting=500, pairs=4000, points=100_000, spins=1)
LARGE = Size(orbitals=2000, fitting=10_000, pairs=100_000, points=3_000_000, spins=1)


def test_small_molecules_keep_all_pairs():
    assert plan(SMALL, None).storage == "whole"


def test_large_molecules_keep_pairs_that_count_or_stream_them():
    assert plan(LARGE, 20 << 30).storage == "screened"
    assert plan(LARGE, LARGE.base + LARGE.screened - 1).storage == "streamed"


@pytest.mark.parametrize("granted", [LARGE.base, LARGE.base + (3 << 30), LARGE.base + (12 << 30)])
def test_a_plan_stays_within_what_is_granted(granted):
    chosen = plan(LARGE, granted)
    held = LARGE.screened if chosen.storage == "screened" else 0
    assert LARGE.base + held + chosen.orbital_bytes <= granted
    assert chosen.orbital_bytes % ORBITAL_STEP == 0


def test_what_cannot_fit_is_refused_with_the_estimate():
    with pytest.raises(MemoryLimitError, match=rf"{LARGE.base / 2**30:.2f} GiB at least, more than the 1.00 GiB"):
        plan(LARGE, 1 << 30)


def test_both_spins_take_more():
    assert Size(100, 500, 4000, 100_000, spins=2).base > SMALL.base


def test_points_are_counted_without_weights():
    mole = make_mole(Molecule.from_arrays(["O", "H", "H"], [[0, 0, 0], [0, 1.4, 1.1], [0, -1.4, 1.1]]), "def2-svp")
    points = atomic_points(mole, 2)
    assert 0.9 * points <= len(molecular_grid(mole, 2, mole.nao).weights) <= points


@pytest.mark.parametrize(
    ("text", "expected"), [("8GB", 8 * 10**9), ("512 MiB", 2**29), ("1.5gib", 3 * 2**29), ("1e6", 10**6)]
)
def test_amounts_are_read(text, expected):
    assert memory_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "eight", "8TBB", "nan", "0", "inf GB", "8 apples"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(InputError, match="write it as 8GB"):
        memory_bytes(text)


def test_nothing_is_computed_before_the_refusal(monkeypatch):
    monkeypatch.setattr("jqc.system.build.one_electron", lambda _: pytest.fail("integrals were made"))
    helium = Molecule.from_arrays(["He"], [[0.0, 0.0, 0.0]])
    with pytest.raises(MemoryLimitError, match="grant more"):
        jqc.build_system(helium, memory="100MB")
