"""Data sets on the Hub, with the real client and a local server that speaks for the Hub."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.data_prep.publish.conftest import Run, refused, run
from tests.data_prep.publish.dataset import MIXED, write_dataset
from tests.hub_server import Fault, Hub

NAME = "datasets/someone/deities"

READ_BACK = """
import hashlib, json, sys
from datasets import Image, load_dataset
from huggingface_hub import snapshot_download

def pictures(split):
    names = getattr(split.features["category"], "names", None)
    for row in split.cast_column("image", Image(decode=False)):
        category = names[row["category"]] if names else row["category"]
        with open(row["image"]["path"], "rb") as file:
            yield [hashlib.sha256(file.read()).hexdigest(), category, row["split"]]

by_name = load_dataset("someone/deities")
folder = snapshot_download("someone/deities", repo_type="dataset")
by_folder = load_dataset("imagefolder", data_dir=folder)
print(json.dumps({
    "by_name": {name: list(pictures(split)) for name, split in by_name.items()},
    "by_folder": {name: list(pictures(split)) for name, split in by_folder.items()},
}))
"""


def test_what_arrived_reads_back_with_the_same_pictures_labels_and_splits(
    hub: Hub, publish_hub: Run, hub_environment: dict[str, str], tmp_path: Path
) -> None:
    table = write_dataset(tmp_path / "pictures", *MIXED)
    done = publish_hub(table.folder)
    assert done.returncode == 0, done.stderr
    read = run(["-c", READ_BACK], hub_environment)
    assert read.returncode == 0, read.stderr
    arrived = json.loads(read.stdout)
    sent = table.rows[:4][["sha256", "category", "split"]].to_numpy().tolist()
    assert sorted(arrived["by_folder"]["train"]) == sorted(sent)
    for theirs, ours in {"train": "train", "validation": "valid", "test": "test"}.items():
        expected = sorted(row for row in sent if row[2] == ours)
        assert sorted(arrived["by_name"][theirs]) == expected


def test_a_data_set_is_new_and_private_and_described(
    hub: Hub, publish_hub: Run, tmp_path: Path
) -> None:
    done = publish_hub(write_dataset(tmp_path, *MIXED).folder)
    assert "a new data set" in done.stdout
    assert "4 pictures published" in done.stdout
    assert "1 with licence unknown" in done.stdout
    assert hub.private[NAME] is True
    assert {path for path in hub.repositories[NAME] if not path.startswith("images/")} == {
        ".gitattributes", "README.md", "metadata.csv", "ATTRIBUTION.md", "croissant.json",
        "trainset.csv", "validset.csv", "testset.csv",
    }  # fmt: skip
    (commit,) = hub.commits[NAME]
    assert commit.summary == "First version: 4 pictures in 3 categories"


def test_a_new_version_sends_only_what_is_new_and_removes_what_is_gone(
    hub: Hub, publish_hub: Run, tmp_path: Path
) -> None:
    before = write_dataset(tmp_path, {}, {}, {"category": "shiva"})
    assert publish_hub(tmp_path, "--public").returncode == 0
    assert hub.private[NAME] is False
    hub.requests.clear()
    gone, kept = before.rows.index[0], before.rows.index[1]
    write_dataset(tmp_path, {"status": "rejected"}, {}, {"category": "shiva"}, {"id": "9"})
    done = publish_hub(tmp_path)
    assert "a new version" in done.stdout
    commit = hub.commits[NAME][-1]
    assert commit.summary == "1 picture added (ganesha 1); 1 picture removed (ganesha 1)"
    assert commit.description == "Now 3 pictures in 2 categories."
    assert commit.deleted == [gone]
    assert kept not in commit.added
    assert len([line for line in hub.requests if line.startswith("PUT /lfs/")]) == 1
    assert hub.private[NAME] is False


def test_nothing_is_sent_where_nothing_changed(hub: Hub, publish_hub: Run, tmp_path: Path) -> None:
    write_dataset(tmp_path, *MIXED)
    assert publish_hub(tmp_path).returncode == 0
    hub.requests.clear()
    assert "nothing changed since the last version" in publish_hub(tmp_path).stdout
    assert len(hub.commits[NAME]) == 1
    assert not [line for line in hub.requests if re.match("POST|PUT", line)]


def test_a_dry_run_shows_what_would_go_and_sends_nothing(
    hub: Hub, publish_hub: Run, tmp_path: Path
) -> None:
    write_dataset(tmp_path, *MIXED)
    done = publish_hub(tmp_path, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "4 pictures to publish" in done.stdout
    assert re.search(r"images/  +6\d kB", done.stdout)
    assert not [line for line in hub.requests if re.match("POST|PUT", line)]
    assert hub.repositories == {}


def test_a_dry_run_needs_no_token(hub: Hub, publish_hub: Run, tmp_path: Path) -> None:
    write_dataset(tmp_path, *MIXED)
    done = publish_hub(tmp_path, "--dry-run", HF_TOKEN="")
    assert done.returncode == 0, done.stderr
    assert "there are no credentials, so that this is compared with no earlier" in done.stdout
    assert "4 pictures to publish" in done.stdout
    assert hub.requests == []


def test_a_rehearsal_refuses_a_name_without_an_owner(
    hub_environment: dict[str, str], tmp_path: Path
) -> None:
    write_dataset(tmp_path, *MIXED)
    command = ["-m", "data_prep", "publish", "hub", str(tmp_path), "deities", "--dry-run"]
    done = run([*command, "--title", "Deities"], hub_environment)
    assert done.returncode == 1
    assert "'deities' is not a repository's name: give owner/name" in done.stderr


IN_SMALL_COMMITS = """
import sys
from pathlib import Path
from data_prep.publish import hub
from data_prep.table import read_table

hub.PICTURES_PER_COMMIT = 2
hub.publish_hub(read_table(Path(sys.argv[1])), "someone/deities", "Deities")
"""


def test_more_pictures_than_a_commit_takes_go_in_several_and_the_table_last(
    hub: Hub, hub_environment: dict[str, str], tmp_path: Path
) -> None:
    write_dataset(tmp_path, {}, {}, {}, {}, {})
    done = run(["-c", IN_SMALL_COMMITS, str(tmp_path)], hub_environment)
    assert done.returncode == 0, done.stderr
    pictures = [sum(".jpg" in path for path in commit.added) for commit in hub.commits[NAME]]
    assert pictures == [2, 2, 1]
    assert ["metadata.csv" in commit.added for commit in hub.commits[NAME]] == [False, False, True]


def test_large_pictures_go_in_parts(hub: Hub, publish_hub: Run, tmp_path: Path) -> None:
    hub.part_bytes = 4_000
    table = write_dataset(tmp_path, {})
    assert publish_hub(tmp_path).returncode == 0
    (sha256,) = table.rows["sha256"]
    parts = [line for line in hub.requests if line.startswith(f"PUT /lfs/{sha256}/")]
    assert len(parts) == 4
    assert hub.large[sha256] == table.path(table.rows.index[0]).read_bytes()


def test_a_part_that_fails_once_is_sent_again(hub: Hub, publish_hub: Run, tmp_path: Path) -> None:
    hub.part_bytes = 4_000
    hub.faults = [Fault("PUT", "/lfs/.*/3", 500), Fault("PUT", "/lfs/.*/2", 0)]
    write_dataset(tmp_path, {})
    done = publish_hub(tmp_path)
    assert done.returncode == 0, done.stderr
    assert [fault.times for fault in hub.faults] == [0, 0]
    assert len(hub.commits[NAME]) == 1


def test_an_upload_that_breaks_goes_on_with_the_next_run(
    hub: Hub, publish_hub: Run, tmp_path: Path
) -> None:
    table = write_dataset(tmp_path, {}, {}, {})
    refusing = table.rows["sha256"].iloc[2]
    hub.faults = [Fault("PUT", refusing, 403, times=100)]
    message = refused(publish_hub(tmp_path))
    assert "does not allow your token to write to someone/deities" in message
    assert NAME not in hub.commits
    hub.faults, there = [], set(hub.large)
    assert len(there) == 2
    hub.requests.clear()
    assert publish_hub(tmp_path).returncode == 0
    sent = {line.split("/")[2] for line in hub.requests if line.startswith("PUT /lfs/")}
    assert sent == {refusing}


def test_an_expired_token_is_named_and_never_printed(
    hub: Hub, publish_hub: Run, tmp_path: Path
) -> None:
    write_dataset(tmp_path, {})
    done = publish_hub(tmp_path, HF_TOKEN="hf_oldSecret")
    assert "does not accept the token; it may have expired" in refused(done)
    assert "hf auth login" in done.stderr
    assert "hf_oldSecret" not in done.stdout + done.stderr
    assert hub.repositories == {}


def test_a_token_that_expires_in_the_middle_leaves_no_half_version(
    hub: Hub, publish_hub: Run, tmp_path: Path
) -> None:
    write_dataset(tmp_path, {})
    hub.token_requests = 4  # until the commit itself
    assert "it may have expired" in refused(publish_hub(tmp_path))
    assert NAME not in hub.commits
    hub.token_requests = 100
    assert publish_hub(tmp_path).returncode == 0


def test_without_a_token_the_way_to_one_is_shown(publish_hub: Run, tmp_path: Path) -> None:
    write_dataset(tmp_path, {})
    message = refused(publish_hub(tmp_path, HF_TOKEN=""))
    assert "found no token" in message
    assert "https://huggingface.co/settings/tokens" in message


def test_without_a_network_the_network_is_named(publish_hub: Run, tmp_path: Path) -> None:
    write_dataset(tmp_path, {})
    message = refused(publish_hub(tmp_path, HF_ENDPOINT="http://127.0.0.1:9"))
    assert "the Hub cannot be reached (" in message


def test_a_card_that_the_hub_refuses_stops_before_the_pictures(
    hub: Hub, publish_hub: Run, tmp_path: Path
) -> None:
    write_dataset(tmp_path, {})
    hub.faults = [Fault("POST", "/api/validate-yaml", 400)]
    assert "the Hub answered with status 400" in refused(publish_hub(tmp_path))
    assert hub.large == {}
