"""Modules import only from layers to their left, and importing the package is cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jqc

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "jqc"
MODULES = sorted(path.relative_to(ROOT) for path in PACKAGE.rglob("*.py"))

LAYERS = (
    {
        "units",
        "errors",
        "files",
        "archive",
        "settings",
        "typing",
        "numerics",
        "davidson",
        "krylov",
        "process",
        "programs",
        "timing",
        "devices",
        "group",
    },
    {"system", "equivariant", "training", "data"},
    {"xc"},
    {"scf"},
    {"response"},
    {"md"},
    {"distill", "density", "binding"},
    {"ase", "pyscf", "report"},
    {"cli", "__init__"},
)
"""From base to face; names within a layer are siblings, except in base, which is one."""

RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
BASE, FACE = 0, len(LAYERS) - 1


def unit(path: Path) -> str:
    """The name right under `jqc` that a module's file belongs to."""
    return path.parts[1].removesuffix(".py")


def imported(source: str, path: Path) -> set[str]:
    """Names right under `jqc` that a module imports; the package itself is `__init__`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            folder = path.parent.parts[: len(path.parent.parts) - node.level + 1] if node.level else ()
            base = ".".join([*folder, *([node.module] if node.module else [])])
            modules = [f"{base}.{alias.name}" for alias in node.names] if base == "jqc" else [base]
        else:
            continue
        for first, second, *_ in ((*module.split("."), "__init__") for module in modules):
            if first == "jqc":
                found.add(second if second in RANK or (PACKAGE / second).is_dir() else "__init__")
    return found


def forbidden(source: str, path: Path) -> set[str]:
    """What a module imports against the order."""
    own = unit(path)
    rank = RANK[own]
    return {
        name
        for name in imported(source, path) - {own}
        if not (RANK[name] < rank or rank == RANK[name] == BASE or (rank == FACE and name == "__init__"))
    }


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_only_to_the_left(path):
    assert unit(path) in RANK, f"{unit(path)} has no layer; give it one in LAYERS"
    assert forbidden((ROOT / path).read_text(encoding="utf-8"), path) == set()


@pytest.mark.parametrize(
    ("path", "source", "names"),
    [
        ("jqc/numerics.py", "from jqc.typing import Array", set()),
        ("jqc/system/build.py", "import jqc.system.gto", set()),
        ("jqc/scf/solve.py", "from jqc import errors, xc", set()),
        ("jqc/cli/info.py", "import jqc", set()),
        ("jqc/errors.py", "import jqc.system.gto as gto", {"system"}),
        ("jqc/system/build.py", "def f():\n    from jqc.xc.lda import slater", {"xc"}),
        ("jqc/system/build.py", "from jqc.data import store", {"data"}),
        ("jqc/xc/base.py", "from ..scf import energy", {"scf"}),
        ("jqc/xc/base.py", "from .. import scf", {"scf"}),
        ("jqc/scf/solve.py", "from jqc import build_system", {"__init__"}),
        ("jqc/scf/solve.py", "from jqc.cli.cache import cache_folder", {"cli"}),
        ("jqc/cli/main.py", "import jqc.report", set()),
        ("jqc/ase.py", "import jqc.report", {"report"}),
    ],
)
def test_the_reader_of_imports(path, source, names):
    assert forbidden(source, Path(path)) == names


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_one_folder_imports_e3x(path):
    """Its global settings and dtypes are dealt with there."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert "equivariant" in path.parts or not any(module.split(".")[0] == "e3x" for module in modules)


def run(script: str) -> None:
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_importing_the_package_imports_nothing_heavy():
    run("import jqc, sys; assert not {'jax', 'numpy', 'pyscf'} & set(sys.modules)")


@pytest.mark.parametrize("name", jqc.__all__)
def test_public_names_resolve(name):
    assert getattr(jqc, name) is not None
    assert name in dir(jqc)


@pytest.mark.parametrize(
    "imports",
    ["import jqc.scf.solve, jqc", "import jqc; jqc.scf; import jqc.scf.solve", "from jqc import scf, energy"],
)
def test_scf_stays_callable(imports):
    run(f"{imports}\nimport jqc\nassert callable(jqc.scf)")
