"""What a part imports is what its install brings: requirements.txt and the extra of its name."""

import ast
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[1]
OURS = {"app", "benchmarks", "data_prep", "ideitify", "scraper", "tests", "training", "views"}
# Trees of imports that may be absent: what asks for them says which extra to install.
OPTIONAL = {"ideitify": {"ray"}}


def project() -> dict:
    return tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]


def app_requirements() -> list[str]:
    lines = (PROJECT / "requirements.txt").read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def imported(folder: str) -> set[str]:
    """Third-party top-level modules that the folder's Python files import, anywhere in them."""
    names = set()
    for file in (PROJECT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(str(node.module).partition(".")[0])
    return names - OURS - set(sys.stdlib_module_names) - OPTIONAL.get(folder, set())


@cache
def brought(name: str) -> frozenset[str]:
    """The distribution and all that it requires where this runs, extras aside."""
    found, waiting = set(), [name]
    while waiting:
        each = canonicalize_name(waiting.pop())
        if each not in found:
            found.add(each)
            needed = [Requirement(line) for line in requires(each) or []]
            waiting += [one.name for one in needed if not one.marker or one.marker.evaluate()]
    return frozenset(found)


@pytest.mark.parametrize("part", ["ideitify", "views", "scraper", "data_prep", "training"])
def test_what_a_part_imports_is_installed_with_it(part):
    extras = project()["optional-dependencies"]
    lines = app_requirements() + extras.get(canonicalize_name(part), [])
    listed = [Requirement(line) for line in lines]
    installed = {name for one in listed for name in brought(one.name)}
    distributions = packages_distributions()
    lacking = {
        module
        for module in imported(part)
        if not {canonicalize_name(name) for name in distributions.get(module, [])} & installed
    }
    assert not lacking, f"{part} imports {lacking}, which neither requirements.txt nor [{part}] has"


def test_the_install_of_everything_has_every_extra():
    lines = (PROJECT / "requirements-dev.txt").read_text("utf-8").splitlines()
    (line,) = [line for line in lines if not line.startswith("#")]
    extras = line.removeprefix("-e .[").removesuffix("]").split(",")
    assert sorted(extras) == sorted(project()["optional-dependencies"])
    # Older pips know an extra by this spelling alone, and leave out others with a mere warning.
    assert extras == [canonicalize_name(extra) for extra in extras]


def test_the_app_and_collecting_need_no_torch():
    scraper = project()["optional-dependencies"]["scraper"]
    for line in app_requirements() + scraper:
        assert "torch" not in brought(Requirement(line).name), line
