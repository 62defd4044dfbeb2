"""What the docs tell people to type works, and what they link to exists."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
DOCS = [
    PROJECT / "README.md",
    PROJECT / "CONTRIBUTING.md",
    *sorted((PROJECT / "docs").glob("*.md")),
]
PHOTO = PROJECT / "tests" / "pictures" / "ganesha.jpg"


def commands(program: str) -> list[str]:
    """Indented commands of the docs that start with `program`."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCS).replace("\\\n", " ")
    return sorted(set(re.findall(rf"^    ({re.escape(program)} .*)$", text, re.MULTILINE)))


@pytest.mark.parametrize("document", DOCS, ids=lambda path: path.name)
def test_links_lead_to_files(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [target for target in targets if not (document.parent / target).exists()] == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A place with the files that the README's examples name."""
    (tmp_path / "folder").mkdir()
    for name in ("photo.jpg", "folder/other.jpg"):
        shutil.copy(PHOTO, tmp_path / name)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine").symlink_to(PROJECT / "models" / "default")
    return tmp_path


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(PROJECT), "PATH": ""}, text=True,
        capture_output=True, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("command", commands("python -m ideitify"))
def test_commands_of_the_core_work_as_written(command: str, folder: Path) -> None:
    done = run([sys.executable, *shlex.split(command)[1:]], folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("command", commands("python -m training"))
def test_commands_of_training_name_options_that_exist(command: str, folder: Path) -> None:
    words = shlex.split(command)
    shown = run([sys.executable, *words[1:4], "--help"], folder).stdout
    assert shown
    for option in (word for word in words if word.startswith("--")):
        assert option in shown


@pytest.mark.parametrize("command", commands("python -m data_prep"))
def test_commands_of_data_prep_name_options_that_exist(command: str, folder: Path) -> None:
    words = shlex.split(command.partition(" > ")[0])
    depth = 5 if words[3] in {"publish", "label-studio", "zooniverse"} else 4
    shown = run([sys.executable, *words[1:depth], "--help"], folder).stdout
    assert shown
    for option in (word for word in words if word.startswith("--")):
        assert option in shown


def test_the_readme_s_python_example_runs(folder: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", DOCS[0].read_text(encoding="utf-8"), re.DOTALL)
    done = run([sys.executable, "-c", example + "\nprint(answer.verdict)"], folder)
    assert done.stdout.strip() in {"deity", "unsure", "no_deity"}, done.stderr


def test_benchmarks_explain_themselves() -> None:
    for path in sorted((PROJECT / "benchmarks").glob("[!_]*.py")):
        text = path.read_text(encoding="utf-8")
        assert '"__main__"' not in text or f"python -m benchmarks.{path.stem}" in text
