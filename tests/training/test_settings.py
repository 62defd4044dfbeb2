"""What a settings file may say: a value that no training makes sense of is refused at once."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from training.__main__ import app
from training.settings import load_settings


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("batch_size = 0", "greater than or equal to 1"),
        ("train_size = 31", "greater than or equal to 32"),
        ("train_size = 2049", "less than or equal to 2048"),
        ("valid_size = 31", "greater than or equal to 32"),
        ("valid_size = 2049", "less than or equal to 2048"),
        ("learning_rate = inf", "a finite number"),
        ("learning_rate = nan", "a finite number"),
        ("mix_alpha = inf", "a finite number"),
        ("body_share = 1.5", "less than or equal to 1"),
        ("weight_decay = -0.1", "greater than or equal to 0"),
        ("seed = -1", "greater than or equal to 0"),
        ("split_seed = -1", "greater than or equal to 0"),
        ("split_seed = 4294967296", "less than 2147483648"),
    ],
)
def test_a_value_out_of_range_is_one_sentence_and_exit_status_2(
    tmp_path: Path, line: str, reason: str
) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(line)
    command = ["fit", "--data", str(tmp_path), "--backbone", "resnet18", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, [*command, "--settings", str(path)], env={"COLUMNS": "500"})
    assert result.exit_code == 2
    assert f"settings: {line.split()[0]}: input should be {reason}" in result.output


def test_the_ends_of_the_ranges_are_allowed(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("batch_size = 1\ntrain_size = 32\nvalid_size = 2048\nbody_share = 1\n")
    settings = load_settings(path, {})
    assert (settings.batch_size, settings.body_share) == (1, 1)
    assert (settings.train_size, settings.valid_size) == (32, 2048)
