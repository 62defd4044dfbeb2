"""A run learns from the answers of a finished one, which knows no picture that validates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from fastai.callback.core import Callback
from torch.nn import functional
from typer.testing import CliRunner

from ideitify.bundle import verify_bundle
from tests.training.conftest import BRIEF, Trained, regrouped
from training.__main__ import app
from training.distill import TeacherError
from training.finished import load_fitted, load_teacher
from training.run_folder import RunError
from training.settings import FitSettings
from training.split import split_pictures
from training.train import fit


class Watch(Callback):
    """Keep what is learned from: crops and targets, as they reach the network, or before that."""

    def __init__(self, order: int = 100) -> None:
        self.order = order
        self.seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def before_batch(self) -> None:
        if self.training:
            self.seen.append((torch.as_tensor(self.x), torch.as_tensor(self.y)))


def learn(trained: Trained, run: Path, backbone: str, *watches: Watch, **changes: object):
    return fit(
        trained.data, backbone, run, FitSettings.model_validate(BRIEF | changes),
        cache=run.parent / "cache", callbacks=watches,
        teacher=load_teacher(trained.run, trained.backbone),
    )  # fmt: skip


@pytest.fixture
def brighter(tiny_backbone: str, tmp_path: Path) -> str:
    """A pupil whose photos are normalised in another way than the teacher's."""
    first, mine = Path(tiny_backbone), tmp_path / "brighter"
    facts = json.loads(first.with_name("tiny.json").read_text())
    facts |= {"name": "brighter", "mean": [0.3, 0.4, 0.5], "std": [0.2, 0.25, 0.3]}
    mine.with_name("brighter.json").write_text(json.dumps(facts))
    weights = first.with_name("tiny.safetensors").read_bytes()
    mine.with_name("brighter.safetensors").write_bytes(weights)
    return str(mine)


def test_targets_are_the_teachers_answers_to_the_same_crops_and_the_labels(
    trained: Trained, brighter: str, tmp_path: Path
) -> None:
    untaught, taught, share = Watch(order=5), Watch(), 0.6
    learn(
        trained, tmp_path / "run", brighter, untaught, taught,
        mix_probability=0, teacher_share=share,
    )  # fmt: skip
    teacher = load_teacher(trained.run, trained.backbone).network.eval()
    mean, std = (torch.tensor(v)[:, None, None] for v in ([0.3, 0.4, 0.5], [0.2, 0.25, 0.3]))
    assert taught.seen
    for (photos, targets), (_, labels) in zip(taught.seen, untaught.seen, strict=True):
        assert labels.ndim == 1
        with torch.no_grad():
            answers = teacher((photos * std + mean - 0.5) / 0.5).softmax(1)
        expected = share * answers + (1 - share) * functional.one_hot(labels, answers.shape[1])
        torch.testing.assert_close(targets, expected, atol=1e-4, rtol=0)


def test_mixed_pictures_have_mixed_labels_and_one_answer(
    trained: Trained, tiny_backbone: str, tmp_path: Path
) -> None:
    watch = Watch()
    learn(trained, tmp_path / "run", tiny_backbone, watch, mix_probability=1, teacher_share=0)
    assert watch.seen
    for _, targets in watch.seen:
        assert ((targets > 0).sum(1) <= 2).all()
        torch.testing.assert_close(targets.sum(1), torch.ones(len(targets)))


def test_one_command_learns_from_a_run_and_says_so(
    trained: Trained, tiny_backbone: str, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.toml"
    lines = (f"{name} = {json.dumps(value)}" for name, value in BRIEF.items())
    settings.write_text("\n".join(lines))
    common = ["--data", str(trained.data), "--backbone", tiny_backbone]
    run, out = tmp_path / "run", tmp_path / "bundle"
    command = [
        "fit", *common, "--settings", str(settings), "--run", str(run), "--out", str(out),
        "--no-wandb", "--teacher", str(trained.run), "--teacher-backbone", trained.backbone,
    ]  # fmt: skip
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    facts, card = verify_bundle(out).training, (out / "README.md").read_text(encoding="utf-8")
    assert (facts["teacher"], facts["teacher_license"]) == ("small", "CC0-1.0")
    assert "70% the answer of another network" in card
    assert "`small` (CC0-1.0)" in card
    assert "answer of another network" not in (trained.bundle / "README.md").read_text()

    again = CliRunner().invoke(app, ["export", str(run), *common, "--out", str(tmp_path / "again")])
    assert again.exit_code == 0, again.output
    assert verify_bundle(tmp_path / "again").training == facts

    record = json.loads((run / "metrics.json").read_text())
    del record["teacher"]  # as in a run from before it was recorded
    (run / "metrics.json").write_text(json.dumps(record))
    fitted = load_fitted(run, trained.data, tiny_backbone)
    assert fitted.teacher == {"name": "small", "license": "not recorded"}


def test_a_run_is_not_resumed_without_its_teacher(
    trained: Trained, tiny_backbone: str, tmp_path: Path
) -> None:
    learn(trained, tmp_path / "run", tiny_backbone, Watch())
    with pytest.raises(RunError, match="other teacher"):
        fit(
            trained.data, tiny_backbone, tmp_path / "run", FitSettings.model_validate(BRIEF),
            cache=tmp_path / "cache", resume=True,
        )  # fmt: skip


def test_a_teacher_that_may_know_the_validation_pictures_is_refused(
    trained: Trained, tiny_backbone: str, tmp_path: Path
) -> None:
    with pytest.raises(TeacherError, match="other sides of the split: it may have learned"):
        learn(trained, tmp_path / "run", tiny_backbone, Watch(), split_seed=1)
    others = Trained(
        trained.bundle, trained.run, regrouped(trained.data, tmp_path / "data"), trained.backbone
    )
    with pytest.raises(TeacherError, match="other sides of the split: "):
        learn(others, tmp_path / "run", tiny_backbone, Watch())
    with pytest.raises(TeacherError, match="other sides of the split: "):
        fit(
            trained.data, tiny_backbone, tmp_path / "run", FitSettings.model_validate(BRIEF),
            cache=tmp_path / "cache", teacher=load_teacher(trained.run, trained.backbone),
            choose_split=lambda pictures: split_pictures(pictures, 0.25, seed=5),
        )  # fmt: skip
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--teacher", "nowhere"], "nowhere is not the folder of a run"),
        (["--teacher", "{run}"], "name it with --teacher-backbone"),
        (["--teacher", "{run}", "--teacher-backbone", "resnet18"], "not from resnet18"),
        (["--teacher-backbone", "resnet18"], "is the backbone of a --teacher: name its run"),
    ],
)
def test_what_cannot_teach_is_said(
    trained: Trained, tiny_backbone: str, tmp_path: Path, options: list[str], words: str
) -> None:
    command = ["fit", "--data", str(trained.data), "--backbone", tiny_backbone]
    command += ["--out", str(tmp_path / "out"), "--no-wandb"]
    filled = [option.format(run=trained.run) for option in options]
    result = CliRunner().invoke(app, [*command, *filled], env={"COLUMNS": "500"})
    assert result.exit_code == 2
    assert words in result.output
