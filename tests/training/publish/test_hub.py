"""Models on the Hub, with the real client and a local server that speaks for the Hub."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from typer.testing import CliRunner

from ideitify.bundle import verify_bundle
from tests.hub_server import Fault, Hub
from tests.training.conftest import Trained
from training.__main__ import app
from training.publish import hub as hub_module
from training.publish.hub import Publication, PublishError

pytestmark = pytest.mark.xdist_group("trained")  # one worker trains for all
PROJECT = Path(__file__).parents[3]
NAME = "someone/tiny"
EVERYTHING = {
    "README.md", "bundle.json", "config.json", "model.onnx", "model.pkl", "model.safetensors",
    "pyproject.toml",
}  # fmt: skip
Publish = Callable[..., Publication]

LOAD_BACK = """
import json, sys
import timm, torch
from huggingface_hub import from_pretrained_fastai
from PIL import Image

model = timm.create_model("hf-hub:someone/tiny@v1.0", pretrained=True).eval()
look = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
learner = from_pretrained_fastai("someone/tiny", revision="v1.0")
photo = look(Image.open(sys.argv[1]).convert("RGB"))[None]
with torch.no_grad():
    theirs, fastais = model(photo)[0].tolist(), learner.model.eval()(photo)[0].tolist()
assert not {"ideitify", "training"} & sys.modules.keys(), "neither needs the project"

sys.path.insert(0, sys.argv[2])
from ideitify import Recognizer

recognizer = Recognizer.load("hf://someone/tiny@v1.0")
print(json.dumps({
    "labels": [model.pretrained_cfg["label_names"], list(learner.dls.vocab),
               recognizer.manifest.labels],
    "logits": [theirs, fastais,
               recognizer.recognize(sys.argv[1]).activation_maps.mean((1, 2)).tolist()],
}))
"""


def writes(hub: Hub) -> list[str]:
    return [line for line in hub.requests if line.startswith(("POST", "PUT"))]


def test_what_arrived_loads_in_timm_fastai_and_ideitify_with_the_same_logits(
    hub: Hub, publish: Publish, trained: Trained, tmp_path: Path
) -> None:
    publish(tag="v1.0")
    photo = next((trained.data / "images" / "ganesha").iterdir())
    environment = os.environ | {
        "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", LOAD_BACK, str(photo), str(PROJECT)], cwd=tmp_path, env=environment,
        capture_output=True, text=True, timeout=1200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert loaded["labels"] == 3 * [["ganesha", "none", "shiva"]]
    timms, fastais, ours = loaded["logits"]
    assert timms == pytest.approx(ours, abs=1e-3)
    assert fastais == pytest.approx(ours, abs=1e-3)


def test_a_version_is_one_commit_private_and_tagged(hub: Hub, publish: Publish) -> None:
    publication = publish(tag="v1.0")
    (commit,) = hub.commits[NAME]
    assert set(commit.added) == set(publication.files) == EVERYTHING
    assert hub.tags[NAME] == {"v1.0": publication.commit}
    assert hub.private[NAME] is True
    assert publication.left_out == {}


def test_the_card_holds_results_and_how_to_load_and_cite(
    hub: Hub, publish: Publish, trained: Trained
) -> None:
    publish(tag="v1.0")
    card = ModelCard(hub.repositories[NAME]["README.md"].decode())
    assert card.data.license == "mit"
    assert card.data.pipeline_tag == "image-classification"
    assert {"timm", "fastai"} <= set(card.data.tags)
    measured = verify_bundle(trained.bundle).metrics["validation"]["accuracy"]
    (accuracy,) = (
        result
        for result in card.data.eval_results
        if (result.dataset_name, result.metric_type) == ("validation", "accuracy")
    )
    assert accuracy.metric_value == pytest.approx(measured.value, abs=1e-4)
    assert f"n = {measured.pictures}" in accuracy.metric_name
    own = (trained.bundle / "README.md").read_text().partition("\n# ")[2]
    assert own.strip() in card.text, "nothing of the bundle's own card is lost"
    for words in (
        "hf-hub:someone/tiny@v1.0",
        "Intended use",
        "Data and rights",
        "Known biases",
        'from_pretrained_fastai("someone/tiny", revision="v1.0")',
        "How to cite",
    ):
        assert words in card.text


@pytest.mark.parametrize(
    ("license_text", "origin", "front"),
    [
        (
            "cc-by-nc-4.0",
            "https://huggingface.co/timm/convnextv2_tiny.fcmae_ft_in22k_in1k",
            {"license": "cc-by-nc-4.0", "base_model": "timm/convnextv2_tiny.fcmae_ft_in22k_in1k"},
        ),
        (
            "apache-2.0; unknown",
            "https://huggingface.co/timm/mobilenetv2_100.ra_in1k; github.com/someone/weights a; "
            "https://huggingface.co/timm/mobilenetv3_large_100.ra_in1k",
            {
                "license": "other",
                "license_name": "apache-2.0-and-unknown",
                "base_model": [
                    "timm/mobilenetv2_100.ra_in1k",
                    "timm/mobilenetv3_large_100.ra_in1k",
                ],
            },
        ),
        ("mit", "https://huggingface.co/None", {"license": "mit"}),
    ],
)
def test_the_card_credits_every_backbone_of_the_hub_and_claims_no_more_rights_than_they_give(
    hub: Hub, client: None, trained: Trained, tmp_path: Path,
    license_text: str, origin: str, front: dict[str, object],
) -> None:  # fmt: skip
    shutil.copytree(trained.bundle, tmp_path / "bundle")  # its card says mit, as all once did
    path = tmp_path / "bundle" / "bundle.json"
    manifest = json.loads(path.read_text())
    manifest["training"]["backbone"] |= {"license": license_text, "origin": origin}
    path.write_text(json.dumps(manifest))
    hub_module.publish(tmp_path / "bundle", NAME, run=tmp_path / "no run")
    card = ModelCard(hub.repositories[NAME]["README.md"].decode()).data.to_dict()
    rights = ("license", "license_name", "base_model")
    assert {name: card[name] for name in rights if name in card} == front


@pytest.mark.parametrize("named", ["timm/a; https://huggingface.co/timm/b", "[timm/a, b c]"])
def test_the_hub_refuses_a_backbone_that_is_no_repository(
    hub: Hub, client: None, named: str
) -> None:
    card = ModelCard(f"---\nlicense: mit\nbase_model: {named}\n---\n")
    with pytest.raises(ValueError, match="must be the id of a model"):
        card.validate()


def test_nothing_is_sent_where_nothing_changed(hub: Hub, publish: Publish) -> None:
    first = publish(tag="v1.0")
    hub.requests.clear()
    again = publish(tag="v1.0")
    assert (again.commit, again.changed) == (first.commit, False)
    assert writes(hub) == []


def test_a_new_version_sends_what_is_new_and_removes_a_form_that_is_gone(
    hub: Hub, publish: Publish
) -> None:
    publish(public=True, tag="v1.0")
    publication = publish(data=None, tag="v2.0")
    assert "--data" in publication.left_out["timm and fastai"]
    commit = hub.commits[NAME][-1]
    assert commit.added == ["README.md"]
    assert set(commit.deleted) == {*hub_module.TIMM_FILES, *hub_module.FASTAI_FILES}
    assert hub.private[NAME] is False
    assert hub.versions[NAME, hub.tags[NAME]["v1.0"]].keys() >= EVERYTHING


def test_a_dry_run_shows_sizes_and_asks_the_hub_nothing(
    hub: Hub, publish: Publish, trained: Trained
) -> None:
    publication = publish(dry_run=True)
    assert set(publication.files) == EVERYTHING
    size = (trained.bundle / "model.onnx").stat().st_size
    assert f"  model.onnx  {size / 1000:.0f} kB" in publication.lines()
    assert hub.requests == []


def test_an_upload_that_breaks_goes_on_with_the_next_run(hub: Hub, publish: Publish) -> None:
    hub.faults = [Fault("POST", "/commit/", 500, times=100)]
    with pytest.raises(PublishError, match="run this again later; what was uploaded already"):
        publish()
    assert NAME not in hub.commits
    hub.faults, there = [], set(hub.large)
    assert len(there) == 3
    hub.requests.clear()
    publish()
    assert not [line for line in hub.requests if line.startswith("PUT /lfs/")]
    assert len(hub.commits[NAME]) == 1


def test_a_tag_that_could_not_be_set_is_set_by_the_next_run(hub: Hub, publish: Publish) -> None:
    hub.faults = [Fault("POST", "/tag/", 500, times=100)]
    with pytest.raises(PublishError, match="status 500"):
        publish(tag="v1.0")
    hub.faults = []
    publication = publish(tag="v1.0")
    assert not publication.changed
    assert hub.tags[NAME] == {"v1.0": publication.commit}


def test_a_release_is_never_moved(hub: Hub, publish: Publish) -> None:
    publish(tag="v1.0")
    with pytest.raises(PublishError, match=r"a release v1\.0 of another version"):
        publish(data=None, tag="v1.0")
    assert len(hub.commits[NAME]) == 1


def test_a_token_that_is_refused_is_named_and_never_printed(
    publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_oldSecret")
    with pytest.raises(PublishError, match="may have expired") as caught:
        publish(data=None)
    assert "hf_oldSecret" not in str(caught.value)


def test_a_name_that_is_none_is_refused(client: None, trained: Trained) -> None:
    with pytest.raises(PublishError, match="give owner/name"):
        hub_module.publish(trained.bundle, "some one/tiny", run=trained.run)


def test_a_bundle_without_its_run_is_published_alone_with_the_reason(
    hub: Hub, client: None, trained: Trained
) -> None:
    result = CliRunner().invoke(app, ["publish", str(trained.bundle), NAME])
    assert result.exit_code == 0, result.output
    assert "left out: timm and fastai: there is no run folder runs/bundle" in result.output
    assert hub.repositories[NAME].keys() >= {"README.md", "bundle.json", "model.onnx"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"--run": "{bundle}"}, "is not the folder of a run"),
        ({"--backbone": "no-such-network"}, "name it with --backbone"),
        ({"--backbone": "resnet18"}, "made from the backbone small, not from resnet18"),
        ({"--data": "/nowhere"}, "metadata.csv"),
    ],
)
def test_wrong_use_is_explained_with_exit_status_2(
    trained: Trained, options: dict[str, str], reason: str
) -> None:
    everything = {
        "--run": str(trained.run), "--data": str(trained.data), "--backbone": trained.backbone,
    } | options  # fmt: skip
    words = [word.format(bundle=trained.bundle) for option in everything.items() for word in option]
    command = ["publish", str(trained.bundle), NAME, "--dry-run", *words]
    result = CliRunner().invoke(app, command, env={"COLUMNS": "500"})
    assert result.exit_code == 2
    assert reason in result.output


def test_a_rehearsal_refuses_a_name_without_an_owner(trained: Trained) -> None:
    with pytest.raises(PublishError, match="give owner/name"):
        hub_module.publish(trained.bundle, "tiny", run=trained.run, dry_run=True)


def test_a_bundle_without_a_card_is_refused(trained: Trained, tmp_path: Path) -> None:
    for name in ("bundle.json", "model.onnx"):
        shutil.copy(trained.bundle / name, tmp_path / name)
    with pytest.raises(PublishError, match=r"has no README\.md, its model card"):
        hub_module.publish(tmp_path, NAME, run=trained.run, dry_run=True)


def test_a_run_of_other_settings_is_refused(trained: Trained, tmp_path: Path) -> None:
    facts = json.loads((trained.run / "settings.json").read_text())
    facts["settings"]["seed"] = 7
    (tmp_path / "settings.json").write_text(json.dumps(facts))
    (tmp_path / "checkpoint.pth").symlink_to(trained.run / "checkpoint.pth")
    command = ["publish", str(trained.bundle), NAME, "--run", str(tmp_path)]
    command += ["--data", str(trained.data), "--dry-run"]
    result = CliRunner().invoke(app, command, env={"COLUMNS": "500"})
    assert result.exit_code == 2
    assert "it has other settings" in result.output
