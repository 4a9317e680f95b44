"""Straight alkanes of any length, for measurements against size."""

import numpy as np

import jqc

CARBON, HYDROGEN, ANGLE, HALF_HCH = 1.526, 1.094, np.deg2rad(112.5), np.deg2rad(53.5)
"""Bond lengths in ångström and angles."""


def alkane(carbons: int) -> jqc.Molecule:
    """All-anti C_n H_2n+2."""
    along, across = CARBON * np.sin(ANGLE / 2), CARBON * np.cos(ANGLE / 2)
    chain = np.array([[i * along, 0.0, (i % 2) * across] for i in range(carbons)])
    symbols, coords = ["C"] * carbons, list(chain)
    for i, carbon in enumerate(chain):
        outward = 1 if i % 2 else -1
        for side in (1, -1):
            coords.append(carbon + HYDROGEN * np.array([0.0, side * np.sin(HALF_HCH), outward * np.cos(HALF_HCH)]))
        for end, direction in ((0, -1), (carbons - 1, 1)):
            if i == end:
                step = np.array([direction * np.sin(ANGLE / 2), 0.0, -outward * np.cos(ANGLE / 2)])
                coords.append(carbon + HYDROGEN * step)
    symbols += ["H"] * (len(coords) - carbons)
    # Atoms in order along the chain: orbitals that meet are neighbours in memory.
    order = np.argsort([place[0] for place in coords], kind="stable")
    return jqc.Molecule.from_arrays([symbols[i] for i in order], np.array(coords)[order], unit="angstrom")
