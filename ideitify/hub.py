"""Where bundles come from: a local folder, or a repository on the Hugging Face Hub."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ideitify.bundle import MANIFEST_NAME, BundleError, read_manifest
from ideitify.files import sha256_of
from ideitify.settings import PROJECT_FOLDER

PICKLE_NAME = "model.pkl"  # what fastai's `push_to_hub_fastai` writes
TRAINING_PACKAGES = ("torch", "fastai", "timm", "onnx")

_SOURCE = re.compile(
    r"hf://(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w./-]+))?"
)


def bundle_folder(source: str, *, trust_pickle: bool = False) -> Path:
    """Find a bundle; one on the Hub is downloaded, or taken from the cache where that has it.

    Args:
        source: a folder, or `hf://owner/repo[@revision]`. A revision is a branch, a tag or, never
            to change and never to need the network again, a commit.
        trust_pickle: convert a repository that has only a fastai `model.pkl`, once. Unpickling runs
            code from that repository: only for repositories you trust.

    Returns:
        A folder with `bundle.json`. Its files are not checked here but in `verify_bundle`.

    Raises:
        BundleError: nothing usable there; the message says why and what to do.
    """
    if "://" not in source:
        return _local_folder(Path(source))
    match = _SOURCE.fullmatch(source)
    if not match:
        raise BundleError(
            f"{source!r} is not a bundle: give a folder, or hf://owner/repo@revision for a "
            "repository on the Hugging Face Hub"
        )
    return _hub_folder(match["repository"], match["revision"] or "main", trust_pickle)


def may_change(source: str) -> bool:
    """Whether what `source` names on the Hub may be another bundle tomorrow: no commit is given."""
    match = _SOURCE.fullmatch(source)
    return match is not None and not re.fullmatch("[0-9a-f]{40}", match["revision"] or "main")


def _local_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise BundleError(
            f"there is no bundle folder {folder}: give one that exists, or hf://owner/repo@revision"
        )
    return folder


def _hub_folder(repository: str, revision: str, trust_pickle: bool) -> Path:
    name = f"hf://{repository}@{revision}"
    folder = _download(repository, revision, [MANIFEST_NAME])
    if (folder / MANIFEST_NAME).is_file():
        files = [MANIFEST_NAME, *read_manifest(folder).files]
        if all((folder / file).is_file() for file in files):
            return folder
        commit = folder.name  # a branch may move between two downloads
        return _download(repository, commit, files)
    cached = (folder / PICKLE_NAME).is_file()  # asked first, so that it works offline
    if not cached and PICKLE_NAME not in _files_of(repository, revision):
        raise BundleError(f"{name} is not a model bundle: it has no {MANIFEST_NAME}")
    if not trust_pickle:
        raise BundleError(
            f"{name} has no {MANIFEST_NAME}, only a {PICKLE_NAME}. Opening a pickle runs whatever "
            "code its author put in it. If you trust the author, install the training extras "
            '(pip install -e ".[training]") and pass --trust-pickle: it is then converted '
            "to a bundle, once"
        )
    _require_training(name)
    return _converted(_download(repository, revision, [PICKLE_NAME]) / PICKLE_NAME, name)


def _download(repository: str, revision: str, patterns: list[str]) -> Path:
    """Bring the matching files into the Hub's cache and return the revision's folder there."""
    from huggingface_hub import snapshot_download

    def snapshot(**options: Any) -> Path:
        return Path(
            snapshot_download(repository, revision=revision, allow_patterns=patterns, **options)
        )

    try:
        return snapshot()
    except (
        Exception
    ) as error:  # the client's releases raise errors of three different HTTP libraries
        _refuse_unknown(repository, revision, error)
        try:
            return snapshot(local_files_only=True)
        except Exception:
            raise BundleError(
                f"hf://{repository}@{revision} cannot be downloaded and is not in the cache: check "
                f"the network ({_first_line(error)})"
            ) from error


def _files_of(repository: str, revision: str) -> list[str]:
    """Names of all files of a repository."""
    from huggingface_hub import HfApi

    try:
        return HfApi().list_repo_files(repository, revision=revision)
    except Exception as error:
        _refuse_unknown(repository, revision, error)
        raise BundleError(
            f"hf://{repository}@{revision} has no {MANIFEST_NAME} in the cache: check the network "
            f"({_first_line(error)})"
        ) from error


def _refuse_unknown(repository: str, revision: str, error: Exception) -> None:
    """Turn the Hub's refusals, which no network and no cache would change, into our words."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if isinstance(error, GatedRepoError):
        advice = f"accept its conditions at https://huggingface.co/{repository} and set HF_TOKEN"
        raise BundleError(f"hf://{repository} is gated: {advice}") from error
    if isinstance(error, RepositoryNotFoundError):
        raise BundleError(
            f"there is no repository {repository!r} on the Hub, or it is private: check its name; "
            "for a private one set HF_TOKEN"
        ) from error
    if isinstance(error, RevisionNotFoundError):
        raise BundleError(
            f"hf://{repository} has no revision {revision!r}: give a branch, a tag or a commit"
        ) from error
    if isinstance(error, HFValidationError):
        raise BundleError(f"{repository!r} is not a repository's name: {error}") from error


def _require_training(name: str) -> None:
    if missing := [package for package in TRAINING_PACKAGES if find_spec(package) is None]:
        raise BundleError(
            f"converting the {PICKLE_NAME} of {name} needs {', '.join(missing)}: install the "
            'training extras (pip install -e ".[training]")'
        )


def _converted(pickle: Path, name: str) -> Path:
    """Convert a fastai export to a bundle, in a process of its own, unless that was done before."""
    from huggingface_hub import cached_assets_path

    cache = cached_assets_path("ideitify", namespace="converted", subfolder="bundles")
    folder = cache / sha256_of(pickle)
    if (folder / MANIFEST_NAME).is_file():
        return folder
    with tempfile.TemporaryDirectory(dir=cache, prefix=f"{folder.name}.") as scratch:
        partial = Path(scratch, "bundle")
        command = [sys.executable, "-m", "training", "convert", str(pickle), str(partial)]
        done = subprocess.run(
            command,
            cwd=PROJECT_FOLDER,
            env={**os.environ, "TYPER_USE_RICH": "0"},  # its error in one line, without a frame
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0 or not (partial / MANIFEST_NAME).is_file():
            raise BundleError(
                f"the {PICKLE_NAME} of {name} cannot be converted: {_complaint(done.stderr)}"
            )
        try:
            partial.rename(folder)
        except OSError:
            if not (folder / MANIFEST_NAME).is_file():  # else another process was faster
                raise
    return folder


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _complaint(stderr: str) -> str:
    """What a program said after its last "Error:", or the last "SomethingError:" of a traceback."""
    return " ".join(stderr.rpartition("Error: ")[2].split()) or "the converter said nothing"
