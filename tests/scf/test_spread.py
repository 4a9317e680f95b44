"""One molecule on several devices: the same energies, forces and responses as on one."""

import os
import subprocess
import sys

import jax
import pytest
from jax.sharding import Mesh

import jqc
from jqc.errors import InputError
from jqc.system import Molecule, build_system
from jqc.system.spread import spread

SCRIPT = """
import jax
import numpy as np

jax.config.update("jax_enable_x64", True)
import jqc
from jqc.devices import mesh
from jqc.response import polarizability
from jqc.system.spread import spread

coords = [[0.0, 0.0, 0.2], [0.0, 1.4, -0.9], [0.0, -1.4, -0.9]]
water = jqc.Molecule.from_arrays(["O", "H", "H"], coords, charge=CHARGE, spin=CHARGE)
system = jqc.build_system(water, "6-31g", grid_level=0)
whole = jqc.scf(system, "b3lyp").check()
shared = jqc.scf(spread(system, mesh()), "b3lyp", progress=lambda *_: None).check()
assert len(jax.devices()) == 3
assert len(shared.features.sharding.device_set) == 3 and not shared.features.is_fully_replicated
assert abs(shared.energy - whole.energy) < 1e-10, shared.energy - whole.energy
np.testing.assert_allclose(jqc.forces(shared), jqc.forces(whole), rtol=0, atol=1e-8)
if not CHARGE:
    np.testing.assert_allclose(polarizability(shared), polarizability(whole), rtol=0, atol=1e-6)
"""


@pytest.mark.parametrize("charge", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_three_devices_are_one(charge):
    """Neither blocks nor fitting functions divide by three."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=3"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("CHARGE", str(charge))],
        env=os.environ | {"XLA_FLAGS": flags},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_what_the_host_makes_is_not_spread():
    helium = Molecule.from_arrays(["He"], [[0.0, 0.0, 0.0]])
    with pytest.raises(InputError, match="cannot be spread"):
        spread(build_system(helium, exchange="grid"), Mesh(jax.devices()[:1], "device"))


def test_one_device_is_a_mesh():
    helium = build_system(Molecule.from_arrays(["He"], [[0.0, 0.0, 0.0]]), grid_level=0)
    alone = jqc.scf(spread(helium, Mesh(jax.devices()[:1], "device")), "hf")
    assert alone.energy == pytest.approx(jqc.scf(helium, "hf").energy, abs=1e-11)
