"""Data sets on Kaggle, with the real client and a local server that speaks for Kaggle."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from data_prep.publish.facts import measure
from data_prep.publish.kaggle import Patience, metadata, stage
from data_prep.publish.kaggle import publish_kaggle as publish
from data_prep.publish.selection import PublishError, select
from data_prep.table import Table
from tests.data_prep.publish.conftest import Run, refused, run
from tests.data_prep.publish.dataset import MIXED, write_dataset
from tests.kaggle_server import Kaggle

NAME = "someone/deities"

READ_BACK = """
import hashlib, json, sys
from datasets import Image, load_dataset

rows = load_dataset("imagefolder", data_dir=sys.argv[1])["train"]
rows = rows.cast_column("image", Image(decode=False))
def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
print(json.dumps([[sha256(row["image"]["path"]), row["category"], row["split"]] for row in rows]))
"""


def described(folder: Path, *rows: dict[str, str], **options: str) -> dict:
    table = write_dataset(folder, *rows)
    facts = measure(select(table, "open"), folder)
    return metadata(facts, **{"name": NAME, "title": "Deities", **options})


def sent(kaggle: Kaggle) -> list[str]:
    """The calls that write."""
    return [line for line in kaggle.requests if re.search("Create|Update|Blob|PUT", line)]


def test_what_arrived_reads_back_with_the_same_pictures_labels_and_splits(
    kaggle: Kaggle, publish_kaggle: Run, tmp_path: Path
) -> None:
    table = write_dataset(tmp_path / "pictures", *MIXED)
    done = publish_kaggle(table.folder)
    assert done.returncode == 0, done.stderr
    arrived = tmp_path / "arrived"
    environment = kaggle.environment(tmp_path / "home")
    download = ["-m", "kaggle", "datasets", "download", NAME, "--unzip", "-p", str(arrived)]
    assert run(download, environment).returncode == 0
    read = run(["-c", READ_BACK, str(arrived)], {"HF_HOME": str(tmp_path / "hf")})
    assert read.returncode == 0, read.stderr
    expected = table.rows[:4][["sha256", "category", "split"]].to_numpy().tolist()
    assert sorted(json.loads(read.stdout)) == sorted(expected)
    assert "A. Maker" in (arrived / "ATTRIBUTION.md").read_text(encoding="utf-8")


def test_a_data_set_is_new_and_private_and_described(
    kaggle: Kaggle, publish_kaggle: Run, tmp_path: Path
) -> None:
    done = publish_kaggle(write_dataset(tmp_path / "pictures", *MIXED).folder)
    assert "a new data set" in done.stdout
    assert "1 with licence unknown" in done.stdout
    dataset = kaggle.datasets[NAME]
    assert dataset.settings["title"] == "Deities"
    assert dataset.settings["licenses"] == [{"name": "other"}]
    assert dataset.settings["isPrivate"] is True
    assert "There is no single licence" in dataset.settings["description"]
    assert Image.open(io.BytesIO(dataset.cover)).size == (560, 280)
    assert not list((tmp_path / "pictures/.data_prep/publish").iterdir()), "nothing stays staged"


@pytest.fixture
def client(kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kaggle:
    """The client in this process, sent to the local Kaggle by the environment alone."""
    home = tmp_path / "home"
    home.mkdir()
    for name, value in kaggle.environment(home).items():
        monkeypatch.setenv(name, value)
    return kaggle


def quick(table: Table, **options: bool):
    return publish(table, NAME, "Deities", patience=Patience(between=0.01), **options)


def test_a_new_version_says_what_changed_and_stays_as_visible_as_it_is(
    client: Kaggle, tmp_path: Path
) -> None:
    quick(write_dataset(tmp_path, {}, {}, {"category": "shiva"}))
    dataset = client.datasets[NAME]
    dataset.settings["isPrivate"] = False  # made public on its page
    done = quick(write_dataset(tmp_path, {"status": "rejected"}, {}, {"category": "shiva"}, {}))
    assert done.version == "old"
    assert [version.notes for version in dataset.versions] == [
        "Initial release",
        "1 picture added (ganesha 1); 1 picture removed (ganesha 1). "
        "Now 3 pictures in 2 categories.",
    ]
    assert dataset.settings["isPrivate"] is False
    assert sum(name.startswith("images/") for name in dataset.versions[-1].files) == 3


def test_a_private_data_set_stays_private(client: Kaggle, tmp_path: Path) -> None:
    quick(write_dataset(tmp_path, {}))
    quick(write_dataset(tmp_path, {}, {}), public=True)
    assert client.datasets[NAME].settings["isPrivate"] is True


def test_a_data_set_is_public_when_asked_for(client: Kaggle, tmp_path: Path) -> None:
    quick(write_dataset(tmp_path, {}), public=True)
    assert client.datasets[NAME].settings["isPrivate"] is False


def test_a_version_that_something_else_made_is_replaced(client: Kaggle, tmp_path: Path) -> None:
    quick(write_dataset(tmp_path, {}))
    client.datasets[NAME].versions[-1].files = {"old.zip": b""}
    done = quick(write_dataset(tmp_path, {}))
    assert done.notes == "1 picture added (ganesha 1). Now 1 picture in 1 category."
    assert "metadata.csv" in client.datasets[NAME].versions[-1].files


def test_nothing_is_sent_where_nothing_changed(client: Kaggle, tmp_path: Path) -> None:
    table = write_dataset(tmp_path, *MIXED)
    quick(table)
    client.requests.clear()
    assert quick(table).version == "unchanged"
    assert sent(client) == []


def test_a_dry_run_shows_what_would_go_and_sends_nothing(client: Kaggle, tmp_path: Path) -> None:
    table = write_dataset(tmp_path, *MIXED)
    told = "\n".join(quick(table, dry_run=True).lines())
    assert "4 pictures to publish" in told
    assert "First version: 4 pictures in 3 categories." in told
    assert re.search(r"images\.zip +6\d kB", told)
    assert sent(client) == []
    assert client.datasets == {}
    assert not (tmp_path / ".data_prep").exists()


def test_a_dry_run_needs_no_credentials(
    kaggle: Kaggle, publish_kaggle: Run, tmp_path: Path
) -> None:
    write_dataset(tmp_path / "pictures", *MIXED)
    done = publish_kaggle(tmp_path / "pictures", "--dry-run", KAGGLE_API_TOKEN="")
    assert done.returncode == 0, done.stderr
    assert "there are no credentials, so that this is compared with no earlier" in done.stdout
    assert "4 pictures to publish" in done.stdout
    assert sent(kaggle) == []


def test_the_description_waits_until_kaggle_has_unpacked(client: Kaggle, tmp_path: Path) -> None:
    client.not_ready = 3
    quick(write_dataset(tmp_path, {}))
    statuses = [line for line in client.requests if "GetDatasetStatus" in line]
    assert len(statuses) > 3
    assert client.requests[-1].endswith("UpdateDatasetMetadata")


def test_a_description_that_came_too_early_is_set_by_the_next_run(
    client: Kaggle, tmp_path: Path
) -> None:
    client.not_ready = 10**6
    table = write_dataset(tmp_path, {})
    with pytest.raises(PublishError, match="Kaggle still works on the version"):
        publish(table, NAME, "Deities", patience=Patience(in_all=0.1, between=0.01))
    assert client.datasets[NAME].cover == b""
    client.not_ready = 0
    assert quick(table).version == "unchanged"
    assert len(client.datasets[NAME].versions) == 1
    assert client.datasets[NAME].cover


def test_what_kaggle_says_against_a_page_is_passed_on(client: Kaggle, tmp_path: Path) -> None:
    table = write_dataset(tmp_path, {})
    quick(table)
    client.refusal = "Title is already in use"
    with pytest.raises(PublishError, match=r"Kaggle refused: Title is already in use$"):
        quick(write_dataset(tmp_path, {}, {}))


def test_an_upload_that_breaks_in_the_middle_goes_on_from_there(
    client: Kaggle, tmp_path: Path
) -> None:
    client.break_uploads = [("images.zip", 9_000, 503), ("images.zip", 5_000, 503)]
    table = write_dataset(tmp_path, {}, {})
    quick(table)
    assert client.break_uploads == []
    files = client.datasets[NAME].versions[-1].files
    contents = {table.path(name).read_bytes() for name in table.rows.index}
    assert {content for name, content in files.items() if name.startswith("images/")} == contents
    assert client.received["images.zip"] < 1.1 * sum(map(len, contents)), "no byte went twice"


def test_an_upload_that_keeps_breaking_goes_on_with_the_next_run(
    client: Kaggle, tmp_path: Path
) -> None:
    client.break_uploads = [("images.zip", 1_000, 503)] * 10  # as often as the client tries
    table = write_dataset(tmp_path, {}, {})
    with pytest.raises(PublishError, match=r"not all files arrived at Kaggle: run this again"):
        quick(table)
    assert client.datasets == {}
    before = Counter(client.received)
    assert before["images.zip"] == 10_000
    quick(table)
    zipped = len(client.uploaded("images.zip"))
    assert client.received["images.zip"] == zipped, "no byte went twice"


def test_an_upload_that_kaggle_refuses_starts_anew_with_the_next_run(
    client: Kaggle, tmp_path: Path
) -> None:
    client.break_uploads = [("images.zip", 10**9, 410)]
    table = write_dataset(tmp_path, {})
    with pytest.raises(PublishError, match="not all files arrived at Kaggle"):
        quick(table)
    assert quick(table).version == "new"


def test_an_expired_token_is_named_and_never_printed(
    kaggle: Kaggle, publish_kaggle: Run, tmp_path: Path
) -> None:
    write_dataset(tmp_path / "pictures", {})
    done = publish_kaggle(tmp_path / "pictures", KAGGLE_API_TOKEN="KGAT_oldSecret")
    message = refused(done)
    assert "found no valid credentials" in message
    assert "https://www.kaggle.com/settings" in message
    assert "KGAT_oldSecret" not in done.stdout + done.stderr
    assert kaggle.datasets == {}


def test_a_key_that_expires_in_the_middle_leaves_no_half_version(
    kaggle: Kaggle, publish_kaggle: Run, tmp_path: Path
) -> None:
    write_dataset(tmp_path / "pictures", {})
    key = {"KAGGLE_API_TOKEN": "", "KAGGLE_USERNAME": "someone", "KAGGLE_KEY": "valid-key"}
    kaggle.requests_before_expiry = 4  # two statuses and two uploads
    done = publish_kaggle(tmp_path / "pictures", **key)
    assert "does not accept the credentials; they may have expired" in refused(done)
    assert "valid-key" not in done.stdout + done.stderr
    assert kaggle.datasets == {}
    kaggle.requests_before_expiry = 100
    assert publish_kaggle(tmp_path / "pictures", **key).returncode == 0


def test_without_a_network_the_network_is_named(publish_kaggle: Run, tmp_path: Path) -> None:
    write_dataset(tmp_path / "pictures", {})
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    message = refused(publish_kaggle(tmp_path / "pictures", **nowhere))
    assert "Kaggle cannot be reached" in message


def test_a_single_licence_that_kaggle_knows_is_named(tmp_path: Path) -> None:
    licenses = described(tmp_path, {"license": "CC0-1.0"}, {"license": "CC0-1.0"})["licenses"]
    assert licenses == [{"name": "CC0-1.0"}]


def test_several_licences_are_other(tmp_path: Path) -> None:
    assert described(tmp_path, *MIXED)["licenses"] == [{"name": "other"}]


@pytest.mark.parametrize(
    ("option", "value", "fault"),
    [
        ("name", "deities", "must be owner/slug"),
        ("name", "someone/My Deities", "must be owner/slug"),
        ("name", "someone/five", "must have 6 to 50 characters"),
        ("name", f"someone/{'x' * 51}", "must have 6 to 50 characters"),
        ("title", "Short", "the title 'Short' must have 6 to 50 characters"),
        ("title", "x" * 51, "must have 6 to 50 characters"),
        ("subtitle", "too short", "the subtitle 'too short' must have 20 to 80 characters"),
        ("subtitle", "x" * 81, "must have 20 to 80 characters"),
    ],
)
def test_names_that_kaggle_would_refuse_are_refused_here(
    tmp_path: Path, option: str, value: str, fault: str
) -> None:
    with pytest.raises(PublishError, match=re.escape(fault)):
        described(tmp_path, {}, **{option: value})


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match=r"Kaggle would refuse this: .*title.*; .*subtitle"):
        described(tmp_path, {}, title="x", subtitle="y")


def test_folders_are_zipped_because_the_client_skips_them(tmp_path: Path) -> None:
    table = write_dataset(tmp_path / "pictures", *MIXED)
    selection = select(table, "open")
    facts = measure(selection, table.folder)
    stage(tmp_path / "staged", selection, metadata(facts, NAME, "Deities"))
    staged = {path.name: path.is_dir() for path in (tmp_path / "staged").iterdir()}
    assert staged == dict.fromkeys(
        ["images.zip", "metadata.csv", "ATTRIBUTION.md", "dataset-metadata.json",
         "dataset-cover-image.jpg"], False,
    )  # fmt: skip


def test_pictures_that_are_zipped_already_are_not_zipped_again(tmp_path: Path) -> None:
    selection = select(write_dataset(tmp_path / "pictures", {}), "open")
    archive = tmp_path / "staged" / "images.zip"
    stage(tmp_path / "staged", selection, {})
    (tmp_path / "staged" / "images.partial").write_bytes(b"of a run that was killed")
    written = archive.stat().st_mtime_ns
    stage(tmp_path / "staged", selection, {})
    assert archive.stat().st_mtime_ns == written
    assert not (tmp_path / "staged" / "images.partial").exists()
    stage(tmp_path / "staged", select(write_dataset(tmp_path / "pictures", {}, {}), "open"), {})
    assert archive.stat().st_mtime_ns > written
