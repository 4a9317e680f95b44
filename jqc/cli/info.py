"""`jqc info`: versions, devices, precision and the compilation cache, for bug reports."""

import importlib.metadata
import os
import platform
from dataclasses import dataclass

PACKAGES = ("jax", "jaxlib", "numpy", "pyscf", "h5py")
"""Packages whose version may change a number."""


def versions() -> dict[str, str]:
    """Versions of jqc, Python and the packages that compute, without importing them.

    >>> sorted(versions())[:2]
    ['h5py', 'jax']
    """
    import jqc

    found = {"jqc": jqc.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


@dataclass(frozen=True)
class InfoCommand:
    """Print versions, devices, precision and the compilation cache."""

    def run(self) -> int:
        """Print one `name: value` line each."""
        for name, value in {**versions(), **_environment()}.items():
            print(f"{name + ':':<12} {value}")
        return 0


def _environment() -> dict[str, str]:
    """What the machine offers, and where compiled programs are kept."""
    import jax

    from jqc.cli.cache import cache_folder, cache_size, use_compilation_cache

    jax.config.update("jax_enable_x64", True)
    use_compilation_cache()
    folder = cache_folder()
    return {
        "platform": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "devices": ", ".join(f"{device.platform}:{device.id} ({device.device_kind})" for device in jax.devices()),
        "precision": str(jax.numpy.zeros(()).dtype),
        "cache": f"{folder} ({cache_size(folder) / 1e6:.1f} MB)",
    }
