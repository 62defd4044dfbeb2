"""Publish on Kaggle, with the `kaggle` package's own client.

Credentials are the client's: `KAGGLE_API_TOKEN`, `~/.kaggle/access_token`, `KAGGLE_USERNAME` and
`KAGGLE_KEY`, or `kaggle.json`. What goes is staged in `.data_prep/publish/` of the dataset folder
and stays there until it has arrived: an upload that broke goes on where it stopped.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.publish.card import description
from data_prep.publish.cover import cover
from data_prep.publish.facts import Facts, measure
from data_prep.publish.notes import version_notes
from data_prep.publish.publication import Publication, Version, documents, sha256, version_of
from data_prep.publish.selection import PublishError, Selection, SignedOut, select
from data_prep.table import Table
from ideitify.dataset import METADATA_NAME, PREPARED_NAME, DatasetError, read_rows
from ideitify.files import replacing
from ideitify.licenses import Policy

if TYPE_CHECKING:
    from kaggle.api.kaggle_api_extended import KaggleApi
    from requests import HTTPError

PICTURES_NAME = "images.zip"  # Kaggle unpacks it to a folder of that name
COVER_NAME = "dataset-cover-image.jpg"

# Kaggle's names of licences that pictures have; any other, and a mixture, is "other" there.
LICENSES = {
    "CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0",
    "CC-BY-NC-SA-4.0",
}  # fmt: skip
KEYWORDS = ["image", "image classification", "religion and belief systems", "art"]  # Kaggle's tags

USAGE = """\
```python
import pandas as pd

pictures = pd.read_csv("metadata.csv")  # `file_name` is the path of each picture
```
"""


@dataclass(frozen=True)
class Patience:
    """How long Kaggle may take to unpack a version, in seconds, and how often it is asked.

    Until it has, it takes no other version.
    """

    in_all: float = 1800
    between: float = 5


def publish_kaggle(
    table: Table,
    name: str,
    title: str,
    *,
    subtitle: str = "",
    public: bool = False,
    policy: Policy = "open",
    dry_run: bool = False,
    patience: Patience = Patience(),
) -> Publication:
    """Make a data set, or a new version of it.

    Args:
        name: owner/slug.
        public: for a new data set; an old one stays as visible as it is.
        policy: see `select`.
        dry_run: send nothing; ask Kaggle what is there, if there are credentials.

    Raises:
        PublishError: see `select`, `metadata`; or Kaggle refuses, or cannot be reached.
    """
    selection = select(table, policy)
    facts = measure(selection, table.folder)
    settings = metadata(facts, name, title, subtitle)
    api, previous = None, None
    try:
        with _kaggle_speaks():
            api = _sign_in()
            previous = _last_version(api, name)
    except SignedOut:
        if not dry_run:
            raise
    settings["isPrivate"] = previous.private if previous else not public
    notes = version_notes(previous.rows if previous else None, selection.rows)
    version = version_of(api is not None, previous, notes)
    staging = table.folder / PREPARED_NAME / "publish" / f"kaggle-{name.replace('/', '-')}"
    send = not dry_run and (version != "unchanged" or staging.exists())  # it broke off at the end
    if send:
        stage(staging, selection, settings)
        with _kaggle_speaks():
            _send(api, staging, settings, version, notes, patience)
        shutil.rmtree(staging)
    files = {name: len(content) for name, content in documents(selection).items()}
    return Publication(
        page=f"https://www.kaggle.com/datasets/{name}",
        version=version,
        notes=notes,
        files={PICTURES_NAME: selection.size, **files},
        selection=selection,
        facts=facts,
        published=send,
    )


def metadata(facts: Facts, name: str, title: str, subtitle: str = "") -> dict[str, Any]:
    """The content of `dataset-metadata.json`.

    Raises:
        PublishError: Kaggle would not take it; every fault is named.
    """
    counted = f"{facts.pictures} pictures, {len(facts.categories)} categories"
    subtitle = subtitle or f"{counted}, every picture credited"
    slug = name.partition("/")[2]
    faults = [
        fault
        for fault, found in {
            f"the name {name!r} must be owner/slug, the slug of a-z, 0-9 and single hyphens":
                not re.fullmatch(r"[\w-]+/[a-z0-9]+(-[a-z0-9]+)*", name),
            f"the slug {slug!r} must have 6 to 50 characters": not 6 <= len(slug) <= 50,
            f"the title {title!r} must have 6 to 50 characters": not 6 <= len(title) <= 50,
            f"the subtitle {subtitle!r} must have 20 to 80 characters":
                not 20 <= len(subtitle) <= 80,
        }.items()
        if found
    ]  # fmt: skip
    if faults:
        raise PublishError(f"Kaggle would refuse this: {'; '.join(faults)}")
    only = next(iter(facts.licenses)) if len(facts.licenses) == 1 else ""
    return {
        "id": name,
        "title": title,
        "subtitle": subtitle,
        "description": description(facts, title, USAGE),
        "licenses": [{"name": only if only in LICENSES else "other"}],
        "keywords": KEYWORDS,
        "image": COVER_NAME,
        "isPrivate": True,
    }


def stage(folder: Path, selection: Selection, settings: dict[str, Any]) -> None:
    """Write what goes to a folder of its own; pictures that lie there zipped are not zipped again.

    Kaggle's client skips folders, so that there is none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name != PICTURES_NAME:  # the client would send whatever an earlier run left
            path.unlink()
    _zip(folder / PICTURES_NAME, selection)
    for name, content in documents(selection).items():
        (folder / name).write_bytes(content)
    cover(selection).save(folder / COVER_NAME, quality=90)
    (folder / "dataset-metadata.json").write_text(json.dumps(settings, indent=1), "utf-8")


def _zip(path: Path, selection: Selection) -> None:
    """Zip the pictures without their first folder, which Kaggle makes from the archive's name."""
    names = {p.name.partition("/")[2]: p for p in selection.pictures}
    contents = sha256("\n".join(names).encode()).encode()  # names are made from contents
    if path.is_file() and _comment(path) == contents:
        return
    with (
        replacing(path) as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive,  # pictures are compressed
    ):
        for name, picture in names.items():
            with (
                archive.open(zipfile.ZipInfo(name), "w") as target,
                picture.path.open("rb") as file,
            ):
                shutil.copyfileobj(file, target)
        archive.comment = contents


def _comment(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.comment
    except zipfile.BadZipFile:
        return b""


@dataclass(frozen=True)
class _Version:
    rows: list[dict[str, str]]
    private: bool


@contextmanager
def _kaggle_speaks() -> Iterator[None]:
    """Turn what the client prints and raises into our words; it prints addresses with keys in."""
    from requests import HTTPError, RequestException

    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            yield
    except HTTPError as error:
        raise PublishError(_refusal(error)) from error
    except RequestException as error:
        raise PublishError(
            f"Kaggle cannot be reached ({type(error).__name__}): check the network and run this "
            "again; what was uploaded already is kept"
        ) from error
    except SystemExit as error:  # how the client ends when it is refused
        said = printed.getvalue().strip().rpartition("\n")[2]
        raise PublishError(f"Kaggle refused: {said}") from error
    except Exception as error:
        if type(error) is Exception:  # the client has no errors of its own
            raise PublishError(f"Kaggle refused: {error}") from error
        raise


def _status(error: HTTPError) -> int:
    return 0 if error.response is None else error.response.status_code


def _refusal(error: HTTPError) -> str:
    status = _status(error)
    if status == 401:
        return f"Kaggle does not accept the credentials; they may have expired. {_SIGN_IN}"
    if status == 403:
        return "Kaggle does not allow this to your account: check the owner's name"
    return f"Kaggle answered with status {status}: run this again later"


_SIGN_IN = (
    "Make a new token at https://www.kaggle.com/settings, and put it into ~/.kaggle/access_token "
    "or KAGGLE_API_TOKEN"
)


def _sign_in() -> KaggleApi:
    """The client, with credentials that it found itself."""
    from kaggle.api.kaggle_api_extended import KaggleApi
    from kaggle.models.kaggle_models_extended import ResumableUploadResult

    class Api(KaggleApi):
        """The client, with words of ours for an upload that failed, which the next run goes on."""

        def upload_complete(self, path: str, url: str, quiet: bool, resume: bool = False) -> Any:
            result = super().upload_complete(path, url, quiet, resume)
            if result == ResumableUploadResult.FAILED:
                lost.append(path)
            return result

        def upload_files(
            self, request: Any, resources: Any, folder: str, blob_type: Any, upload_context: Any,
            *more: Any, **options: Any,
        ) -> None:  # fmt: skip
            try:
                super().upload_files(
                    request, resources, folder, blob_type, upload_context, *more, **options
                )
            except ValueError as error:
                for path in lost:  # what cannot be resumed must not be tried again and again
                    Path(upload_context.get_upload_info_file_path(path)).unlink(missing_ok=True)
                raise PublishError(
                    "not all files arrived at Kaggle: run this again, it goes on where it stopped"
                ) from error

    lost: list[str] = []
    api = Api()
    try:
        api.authenticate()
    except SystemExit:
        raise SignedOut(f"Kaggle's client found no valid credentials. {_SIGN_IN}") from None
    return api


def _last_version(api: KaggleApi, name: str) -> _Version | None:
    from requests import HTTPError

    try:
        api.dataset_status(name)
    except HTTPError as error:
        if _status(error) in {403, 404}:  # 403: there is none that we may see
            return None
        raise
    with tempfile.TemporaryDirectory() as scratch:
        page = json.loads(Path(api.dataset_metadata(name, scratch)).read_text("utf-8"))
        page = page.get("info", page)  # releases of the client differ
        return _Version(_rows(api, name, Path(scratch)), bool(page.get("isPrivate")))


def _rows(api: KaggleApi, name: str, scratch: Path) -> list[dict[str, str]]:
    """The `metadata.csv` of the last version; none where it was made by something else."""
    from requests import HTTPError

    try:
        api.dataset_download_file(name, METADATA_NAME, path=str(scratch), quiet=True)
        if (zipped := scratch / f"{METADATA_NAME}.zip").is_file():
            with zipfile.ZipFile(zipped) as archive:
                archive.extract(METADATA_NAME, scratch)
        return read_rows(scratch)
    except HTTPError as error:
        if _status(error) != 404:
            raise
        return []
    except (DatasetError, zipfile.BadZipFile, KeyError):
        return []


def _send(
    api: KaggleApi,
    folder: Path,
    settings: dict[str, Any],
    version: Version,
    notes: str,
    patience: Patience,
) -> None:
    name, quiet = settings["id"], not sys.stderr.isatty()  # where the client draws its progress
    if version == "new":
        public = not settings["isPrivate"]
        _check(api.dataset_create_new(str(folder), public=public, quiet=quiet))
    elif version == "old":
        _wait_until_ready(api, name, patience)
        _check(api.dataset_create_version(str(folder), notes, quiet=quiet))
    _wait_until_ready(api, name, patience)
    api.dataset_metadata_update(name, str(folder))  # title, licence and cover; versions have none


def _check(response: Any) -> None:
    if response.error or response.status.lower() != "ok":
        raise PublishError(f"Kaggle refused: {response.error or response.status}")


def _wait_until_ready(api: KaggleApi, name: str, patience: Patience) -> None:
    deadline = time.monotonic() + patience.in_all
    while (status := api.dataset_status(name)) != "ready":
        if status in {"failed", "deleted"}:
            raise PublishError(f"Kaggle could not unpack the version ({status}): run this again")
        if time.monotonic() > deadline:
            raise PublishError(
                f"Kaggle still works on the version ({status}): run this again later to set its "
                "description and cover"
            )
        time.sleep(patience.between)
