"""The notebook runs from top to bottom, and is kept without what it printed."""

import json
import os
import subprocess
import sys
from pathlib import Path

from ideitify.bundle import verify_bundle
from tests.training.conftest import BRIEF, Trained

PROJECT = Path(__file__).parents[2]
NOTEBOOK = PROJECT / "training" / "finetune.ipynb"


def test_the_notebook_runs_from_top_to_bottom(trained: Trained, tmp_path: Path) -> None:
    settings = tmp_path / "brief.toml"
    settings.write_text("\n".join(f"{name} = {json.dumps(v)}" for name, v in BRIEF.items()))
    out, run = tmp_path / "bundle", tmp_path / "run"
    ours = {
        "FINETUNE_DATA": trained.data, "FINETUNE_BACKBONE": trained.backbone,
        "FINETUNE_SETTINGS": settings, "FINETUNE_OUT": out, "FINETUNE_RUN": run,
        "FINETUNE_PICTURES": 2, "XDG_CACHE_HOME": tmp_path, "IPYTHONDIR": tmp_path / "ipython",
        "OMP_NUM_THREADS": 1, "WANDB_MODE": "offline",
    }  # fmt: skip
    pytest = "-m pytest --nbmake --nbmake-timeout=600 --override-ini=addopts= -p no:cacheprovider"
    done = subprocess.run(
        [sys.executable, *pytest.split(), str(NOTEBOOK)],
        cwd=tmp_path, env=os.environ | {name: str(value) for name, value in ours.items()},
        capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
    assert verify_bundle(out).labels == ["ganesha", "none", "shiva"]
    assert (run / "evaluated" / "report.html").is_file()
    assert (run / "explained" / "contact_sheet.jpg").is_file()
    kept = json.loads((run / "wandb.json").read_text())
    assert kept["logged"] == BRIEF["epochs"]
    assert len(list(run.glob(f"wandb/offline-run-*-{kept['id']}"))) == 2, "fit, then the bundle"


def test_the_notebook_is_kept_without_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []
