"""Publish on the Hugging Face Hub, with its own client: the folder as it is, one commit a version.

`datasets.load_dataset(name)` reads it there. The token is the client's: `HF_TOKEN`, or what
`hf auth login` stored. Pictures go by their hash: what arrived before an upload broke, or with an
earlier version, is not sent again.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.publish.card import SPLIT_FILES, SPLIT_NAMES, description, front_matter
from data_prep.publish.croissant import CROISSANT_NAME, croissant_file
from data_prep.publish.facts import Facts, measure
from data_prep.publish.notes import version_notes
from data_prep.publish.publication import (
    Publication,
    documents,
    metadata_csv,
    sha256,
    version_of,
)
from data_prep.publish.selection import PublishError, Selection, SignedOut, select
from data_prep.table import Table
from data_prep.workers import batches
from ideitify.dataset import METADATA_NAME, DatasetError, read_rows
from ideitify.hub_upload import SIGN_IN, check_repository, hub_speaks
from ideitify.licenses import Policy

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

_ATTRIBUTES = ".gitattributes"  # the Hub's own, in every repository
PICTURES_PER_COMMIT = 20_000  # the Hub takes at most 25,000 large files in one

USAGE = """\
```python
from datasets import load_dataset  # 4.0 or newer

pictures = load_dataset("{name}")  # {splits}
```

Or download the repository: `load_dataset("imagefolder", data_dir=…)`, fastai and Ideitify's
`training` read the folder as it is.
"""


def publish_hub(
    table: Table,
    name: str,
    title: str,
    *,
    public: bool = False,
    policy: Policy = "open",
    dry_run: bool = False,
) -> Publication:
    """Make a data set repository, or a new version of it.

    Args:
        name: owner/name.
        public: for a new data set; an old one stays as visible as it is.
        policy: see `select`.
        dry_run: send nothing; ask the Hub what is there, if there are credentials.

    Raises:
        PublishError: see `select`; or `name` is none, or the Hub refuses, or cannot be reached.
    """
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.utils import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    check_repository(name, PublishError)
    selection = select(table, policy)
    facts = measure(selection, table.folder)
    api = HfApi()
    page = f"{api.endpoint}/datasets/{name}"
    texts = _texts(selection, facts, name, title, page)
    signed_in, previous = bool(get_token()), None
    if not signed_in and not dry_run:
        raise SignedOut(f"the Hub's client found no token. {SIGN_IN}")
    with hub_speaks(name, PublishError):
        if signed_in:
            api.whoami()
            previous = _last_version(api, name)
        notes = version_notes(previous.rows if previous else None, selection.rows)
        version = version_of(signed_in, previous, notes)
        send = not dry_run and version != "unchanged"
        if send:
            api.create_repo(name, repo_type="dataset", private=not public, exist_ok=True)
            _commit(api, name, selection, texts, previous.files if previous else set(), notes)
    files = {name: len(content) for name, content in texts.items()}
    return Publication(
        page=page,
        version=version,
        notes=notes,
        files={"images/": selection.size, **files},
        selection=selection,
        facts=facts,
        published=send,
    )


def _texts(
    selection: Selection, facts: Facts, name: str, title: str, page: str
) -> dict[str, bytes]:
    """Every file but the pictures."""
    texts = documents(selection)
    splits = {SPLIT_NAMES.get(split, ""): split for split in facts.splits}
    if "" in splits:
        raise PublishError(f"the split {splits['']!r} is none of {', '.join(SPLIT_NAMES)}")
    for theirs, ours in splits.items():
        rows = [row for row in selection.rows if row["split"] == ours]
        texts[SPLIT_FILES[theirs]] = metadata_csv(rows)
    usage = USAGE.format(name=name, splits=", ".join(splits) or "train")
    sizes_known = all(row["width"] and row["height"] for row in selection.rows)
    card = front_matter(facts, title, name, sizes_known) + "\n" + description(facts, title, usage)
    croissant = croissant_file(
        selection,
        facts,
        title=title,
        page=page,
        metadata_sha256=sha256(texts[METADATA_NAME]),
        day=datetime.now(UTC).date(),
    )
    return {"README.md": card.encode(), CROISSANT_NAME: croissant.encode(), **texts}


@dataclass(frozen=True)
class _Version:
    files: set[str]
    rows: list[dict[str, str]]


def _last_version(api: HfApi, name: str) -> _Version | None:
    """None if there is no such data set, or an empty one."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        files = set(api.list_repo_files(name, repo_type="dataset")) - {_ATTRIBUTES}
    except RepositoryNotFoundError:
        return None
    return _Version(files, _rows(api, name, files)) if files else None


def _rows(api: HfApi, name: str, files: set[str]) -> list[dict[str, str]]:
    """Its `metadata.csv`; no rows where something else made it."""
    if METADATA_NAME not in files:
        return []
    path = Path(api.hf_hub_download(name, METADATA_NAME, repo_type="dataset"))
    try:
        return read_rows(path.parent)
    except DatasetError:
        return []


def _commit(
    api: HfApi,
    name: str,
    selection: Selection,
    texts: dict[str, bytes],
    previous: set[str],
    notes: str,
) -> None:
    """Make one commit of the whole version, or several where the Hub takes no more in one.

    What the version is, its rows and its card, comes with the last.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    pictures = [CommitOperationAdd(p.name, p.path) for p in selection.pictures]
    *first, last = batches(pictures, PICTURES_PER_COMMIT)
    for batch in first:
        api.create_commit(name, batch, commit_message="Pictures", repo_type="dataset")
    gone = previous - {*(p.name for p in selection.pictures), *texts}
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        *(CommitOperationDelete(path) for path in sorted(gone)),
        *last,
        *(CommitOperationAdd(path, content) for path, content in texts.items()),
    ]
    summary, _, rest = notes.partition(".")
    api.create_commit(
        name,
        operations,
        commit_message=summary[:72],
        commit_description=notes if len(summary) > 72 else rest.strip(),
        repo_type="dataset",
    )
