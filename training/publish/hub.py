"""Publish a model on the Hugging Face Hub, with its own client: every form in one commit.

The token is the client's: `HF_TOKEN`, or what `hf auth login` stored. Files go by their hash: what
arrived before an upload broke, or with an earlier version, is not sent again, and where nothing
changed there is no commit.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import disable_progress_bars
from huggingface_hub.utils.sha import git_hash

from ideitify.bundle import MANIFEST_NAME, Manifest, verify_bundle
from ideitify.dataset import read_dataset
from ideitify.files import sha256_of
from ideitify.hub_upload import SIGN_IN, check_repository, hub_speaks
from training.finished import load_finished
from training.publish.card import hub_card
from training.publish.forms import (
    FASTAI_FILES,
    TIMM_FILES,
    FormError,
    calibrated_head,
    read_reference,
    write_fastai,
    write_timm,
)

CARD_NAME = "README.md"


class PublishError(ValueError):
    """The model cannot be published; the message says why and what to do."""


@dataclass(frozen=True)
class Publication:
    """What goes, or went, to a model's page.

    Attributes:
        page: its address.
        files: name -> bytes.
        left_out: form -> why it is not among them.
        commit: of the version, None for a rehearsal.
        changed: whether that commit is a new one.
        tag: of the release.
    """

    page: str
    files: dict[str, int]
    left_out: dict[str, str]
    commit: str | None = None
    changed: bool = False
    tag: str | None = None

    def lines(self) -> list[str]:
        """Tell it to a person at a terminal."""
        if self.commit is None:
            state = "to publish"
        else:
            state = "published" if self.changed else "nothing changed since the last version"
        at = f" at {self.commit[:8]}" if self.commit else ""
        return [
            f"{self.page}{at}: {state}",
            *(f"  {name}  {size / 1e3:,.0f} kB" for name, size in self.files.items()),
            *(f"left out: {form}: {reason}" for form, reason in self.left_out.items()),
            *([f"release {self.tag}"] if self.tag else []),
        ]


def publish(
    bundle: Path,
    repository: str,
    *,
    run: Path,
    data: Path | None = None,
    backbone: str | None = None,
    public: bool = False,
    tag: str | None = None,
    dry_run: bool = False,
) -> Publication:
    """Make a model repository, or a new version of it.

    Args:
        bundle: folder to publish.
        repository: owner/name.
        run: the run folder behind the bundle, for the forms of timm and fastai.
        data: dataset folder with real pictures, on which those forms are compared with the bundle.
        backbone: as it was given to `fit`; needed where that was a weights file.
        public: for a new repository; an old one stays as visible as it is.
        tag: name of this release.
        dry_run: make and compare everything, ask the Hub nothing.

    Raises:
        BundleError, DatasetError, PhotoError: `bundle` or `data` cannot be used.
        RunError: the run cannot be used with this bundle.
        PublishError: `repository` is no name, the bundle has no card, the Hub refuses or cannot be
            reached, or the tag names another version.
    """
    check_repository(repository, PublishError)
    manifest = verify_bundle(bundle)
    if not (bundle / CARD_NAME).is_file():
        raise PublishError(f"{bundle} has no {CARD_NAME}, its model card: export it again")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        left_out = _write_forms(bundle, manifest, folder, run, data, backbone)
        for name in (MANIFEST_NAME, CARD_NAME, *manifest.files):
            shutil.copy(bundle / name, folder / name)
        files = sorted(path.name for path in folder.iterdir())
        card = folder / CARD_NAME
        card.write_text(
            hub_card(card.read_text(encoding="utf-8"), manifest, repository, files, tag),
            encoding="utf-8",
        )
        verify_bundle(folder)
        api = HfApi()
        page = f"{api.endpoint}/{repository}"
        sizes = {name: (folder / name).stat().st_size for name in files}
        if dry_run:
            return Publication(page, sizes, left_out, tag=tag)
        commit, changed = _send(api, repository, folder, manifest, public, tag)
    return Publication(page, sizes, left_out, commit, changed, tag)


def _write_forms(
    bundle: Path,
    manifest: Manifest,
    folder: Path,
    run: Path,
    data: Path | None,
    backbone: str | None,
) -> dict[str, str]:
    """Write what other libraries load; returns form -> why it cannot be given."""
    if not run.is_dir():
        reason = f"there is no run folder {run}; name the one of fit with --run"
        return {"timm and fastai": reason}
    if data is None:
        reason = "name a dataset folder with --data, for real pictures to compare them on"
        return {"timm and fastai": reason}
    finished = load_finished(run, manifest, backbone)
    pictures = [picture.path for picture in read_dataset(data)]
    reference = read_reference(bundle, manifest, pictures)
    head = calibrated_head(finished, reference)
    left_out = {}
    writers: dict[str, Callable[..., None]] = {"timm": write_timm, "fastai": write_fastai}
    for form, write in writers.items():
        try:
            write(finished, head, reference, manifest.input, folder)
        except FormError as error:
            left_out[form] = str(error)
    return left_out


def _send(
    api: HfApi, repository: str, folder: Path, manifest: Manifest, public: bool, tag: str | None
) -> tuple[str, bool]:
    """Commit and tag what is new; returns the commit and whether it is a new one."""
    if not get_token():
        raise PublishError(f"the Hub's client found no token. {SIGN_IN}")
    if not sys.stderr.isatty():
        disable_progress_bars()
    with hub_speaks(repository, PublishError):
        api.whoami()
        commit = _last_commit(api, repository)
        if commit is None:
            api.create_repo(repository, private=not public, exist_ok=True)
        operations = _differences(api, repository, folder)
        tags = {ref.name: ref.target_commit for ref in api.list_repo_refs(repository).tags}
        if tag in tags and (operations or tags[tag] != commit):
            raise PublishError(
                f"{repository} has a release {tag} of another version: choose another --tag"
            )
        if operations:
            message = f"{manifest.name}, {tag or manifest.created[:10]}"
            commit = api.create_commit(repository, operations, commit_message=message).oid
        if tag and tag not in tags:
            api.create_tag(repository, tag=tag, revision=commit)
    return str(commit), bool(operations)


def _last_commit(api: HfApi, repository: str) -> str | None:
    """None if there is no such repository."""
    try:
        return api.repo_info(repository).sha
    except RepositoryNotFoundError:
        return None


def _differences(
    api: HfApi, repository: str, folder: Path
) -> list[CommitOperationAdd | CommitOperationDelete]:
    """What makes the repository hold this version; a form that it has no longer is removed."""
    there = {
        file.path: file.lfs.sha256 if file.lfs else file.blob_id
        for file in api.list_repo_tree(repository)
        if isinstance(file, RepoFile)
    }
    ours = {path.name: path for path in sorted(folder.iterdir())}
    stale = sorted(there.keys() & {*TIMM_FILES, *FASTAI_FILES} - ours.keys())
    return [
        *(CommitOperationDelete(name) for name in stale),
        *(
            CommitOperationAdd(name, path)
            for name, path in ours.items()
            if there.get(name) not in {sha256_of(path), git_hash(path.read_bytes())}
        ),
    ]
