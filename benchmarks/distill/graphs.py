"""Molecular graphs of C, N and O by number of heavy atoms: every one that valences allow, less what rules refuse.

A graph grows by an atom on an atom and by a bond between two atoms; both only use up hydrogens. A rule that is
`lasting` holds for all that grows from what it refuses, so it prunes while graphs grow; the others judge at the end.
"""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from rdkit import Chem

VALENCES = {6: 4, 7: 3, 8: 2}
BONDS = {1: Chem.BondType.SINGLE, 2: Chem.BondType.DOUBLE, 3: Chem.BondType.TRIPLE}
LARGEST_RING, MOST_RINGS = 7, 2


class Rule(NamedTuple):
    """A substructure that is refused, and why; in graphs below `smallest` heavy atoms it is allowed."""

    name: str
    smarts: str
    reason: str
    smallest: int = 1
    lasting: bool = False


RULES = (
    Rule("chain of heteroatoms", "[#7,#8]~[#7,#8]~[#7,#8]", "azo chains and polyoxides fall apart", lasting=True),
    Rule("two weak bonds", "[#7,#8]~[#7,#8].[#7,#8]~[#7,#8]", "explosives, with bonds of many kinds", 4, lasting=True),
    Rule("oxygen molecule", "[OX1]=[OX1]", "its ground state is a triplet"),
    Rule("long cumulene", "*=*=*=*", "longer than allene and ketene: carbenes in disguise"),
    Rule("bent cumulene", "[R]=[R]=[R]", "an allene does not fit into a small ring"),
    Rule("bent alkyne", "[R]#[R]", "a triple bond does not fit into a small ring"),
    Rule("anti-Bredt", "[x3]=*", "a double bond at a bridgehead is twisted"),
    Rule("cyclobutadiene", "*1=**=*1", "antiaromatic, nearly a diradical"),
    Rule("oxirene", "[#7,#8;r3]1[#6]=[#6,#7]1", "antiaromatic, opens without a barrier"),
    Rule("lactone of three", "[#7,#8;r3]@*=[!R]", "opens to a zwitterion"),
    Rule("small rings that share atoms", "[R2;r3,r4]", "strain above that of any ordinary molecule", lasting=True),
    Rule("three-ring with a double bond", "[r3]=[r3]", "strain, and carbenes next door", 4),
    Rule("three-ring of two heteroatoms", "[#7,#8;r3]~[#7,#8;r3]", "oxidants that rearrange", 4),
    Rule("unsaturated four-ring with heteroatom", "[r4]=[r4]@[#7,#8]", "opens to a chain", 4),
    Rule("peroxide", "[#8]-[#8]", "explosive; water's peroxides stand for the bond", 4, lasting=True),
    Rule("geminal heteroatoms with hydrogen", "[OH,NH,NH2][CX4][OX2,NX3]", "loses water, ammonia or alcohol", 4),
    Rule("ynol", "[#6]#[#6]-[#7,#8]", "a ketene's or nitrile's unstable tautomer", 4),
    Rule("enol", "[#6]=[#6]-[OH,NH2,NH;!R]", "an aldehyde's or imine's tautomer", 4),
    Rule("imidic acid", "[#7]=[#6]-[OH;!R]", "an amide's tautomer", 4),
    Rule("nitroso with alpha hydrogen", "[CX4;!H0]-[NX2]=O", "an oxime's tautomer", 4),
    Rule("diazene with hydrogen", "[NH]=[#7]", "loses nitrogen", 4),
    Rule("imine of ammonia", "[CX3;!$(C[#7,#8])]=[NH]", "polymerises or hydrolyses; amidines may stay", 4),
    Rule("heteroatom on a cumulene", "[#7,#8]-*=*=*", "dimerises or rearranges", 4),
)


def graphs(most: int) -> dict[int, list[str]]:
    """Canonical SMILES that pass all rules, by number of heavy atoms from one to `most`, sorted."""
    level = {"C", "N", "O"}
    passed = {1: sorted(level)}
    for heavy in range(2, most + 1):
        level = _with_all_bonds({grown for smiles in level for grown in _with_an_atom(smiles)})
        passed[heavy] = sorted(smiles for smiles in level if refused_by(_kekulized(smiles)) is None)
    return passed


def refused_by(molecule: Chem.Mol, lasting: bool = False) -> str | None:
    """Name of the first rule that refuses a molecule, bonds kekulized; of the lasting rules only, if asked."""
    heavy = molecule.GetNumHeavyAtoms()
    for rule in RULES:
        if heavy >= rule.smallest and rule.lasting >= lasting and molecule.HasSubstructMatch(_pattern(rule.smarts)):
            return rule.name
    return None


@cache
def _pattern(smarts: str) -> Chem.Mol:
    return Chem.MolFromSmarts(smarts)


def _kekulized(smiles: str) -> Chem.Mol:
    molecule = Chem.MolFromSmiles(smiles)
    Chem.Kekulize(molecule, clearAromaticFlags=True)
    return molecule


def _free_valences(molecule: Chem.Mol) -> list[int]:
    """Hydrogens that each atom can give away."""
    return [
        VALENCES[atom.GetAtomicNum()] - sum(int(bond.GetBondTypeAsDouble()) for bond in atom.GetBonds())
        for atom in molecule.GetAtoms()
    ]


def _with_an_atom(smiles: str) -> Iterator[str]:
    """Graphs of one more atom, on any atom by any bond."""
    molecule = _kekulized(smiles)
    for at, free in enumerate(_free_valences(molecule)):
        for number, valence in VALENCES.items():
            for order in range(1, min(free, valence, 3) + 1):
                grown = Chem.RWMol(molecule)
                grown.AddBond(at, grown.AddAtom(Chem.Atom(number)), BONDS[order])
                yield from _finished(grown)


def _with_a_bond(smiles: str) -> Iterator[str]:
    """Graphs in which two atoms with hydrogens share one bond more: a ring closed, or a bond of higher order."""
    molecule = _kekulized(smiles)
    able = [at for at, free in enumerate(_free_valences(molecule)) if free]
    for second in able:
        for first in (at for at in able if at < second):
            grown = Chem.RWMol(molecule)
            bond = grown.GetBondBetweenAtoms(first, second)
            if bond is None:
                grown.AddBond(first, second, BONDS[1])
            elif (order := int(bond.GetBondTypeAsDouble()) + 1) in BONDS:
                bond.SetBondType(BONDS[order])
            else:
                continue
            yield from _finished(grown)


def _with_all_bonds(level: set[str]) -> set[str]:
    """Graphs and all that added bonds make of them."""
    newest = level
    while newest := {grown for smiles in newest for grown in _with_a_bond(smiles)} - level:
        level = level | newest
    return level


def _finished(grown: Chem.RWMol) -> Iterator[str]:
    """Canonical SMILES, unless a lasting rule or the rings refuse the graph."""
    for atom in grown.GetAtoms():
        atom.SetNoImplicit(False)
        atom.SetNumExplicitHs(0)
    grown.UpdatePropertyCache()
    Chem.FastFindRings(grown)
    rings = Chem.GetSSSR(grown)
    if len(rings) > MOST_RINGS or any(len(ring) > LARGEST_RING for ring in rings):
        return
    if refused_by(grown, lasting=True) is None:
        Chem.SanitizeMol(grown)
        yield Chem.MolToSmiles(grown)
