"""The real client of the Hub, in this process, and a local server that speaks for the Hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.hub_server import Hub, running_hub
from tests.training.conftest import Trained
from training.publish import hub as hub_module
from training.publish.hub import Publication


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        yield hub


@pytest.fixture
def client(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process's client come to the local Hub, as `HF_ENDPOINT` and others do at import."""
    settings = {
        "ENDPOINT": hub.url, "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_DISABLE_XET": True,
        "HF_HUB_DISABLE_TELEMETRY": True,
    }  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setenv("HF_TOKEN", "hf_valid")


@pytest.fixture
def publish(client: None, trained: Trained) -> Callable[..., Publication]:
    """Publish as someone/tiny, with all that `publish` can be given."""
    return partial(
        hub_module.publish,
        trained.bundle,
        "someone/tiny",
        run=trained.run,
        data=trained.data,
        backbone=trained.backbone,
    )
