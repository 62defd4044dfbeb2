"""A picture that ends the process which opens it is refused, and nothing else is lost."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path

import pytest

from ideitify.engine import EngineError, processes
from ideitify.photo import PhotoError
from ideitify.settings import Settings
from scraper.look import Look
from scraper.lookers import Lookers
from tests.scraper.collecting import assert_consistent, collection, fetch, files_in
from tests.scraper.museum import Museum, picture

LIMITS = Settings(max_bytes=10**6)
FATAL = b"GIF89a" + bytes(100)


@pytest.mark.usefixtures("flawed_decoder")
def test_pictures_that_end_a_process_are_refused_and_the_others_looked_at(tmp_path: Path) -> None:
    contents = [picture(1), FATAL, picture(2), FATAL, picture(3)]
    pictures = [(tmp_path / f"{i}.partial", content) for i, content in enumerate(contents)]
    pictures.append((tmp_path / "5.partial", None))
    pictures[-1][0].write_bytes(FATAL)
    with Lookers(LIMITS, partial(processes, 2)) as lookers:
        first, second = lookers.submit(pictures), lookers.submit(pictures[:1])
        looks = lookers.looks(first)
        assert isinstance(lookers.looks(second)[0], Look)
        assert isinstance(lookers.looks(lookers.submit(pictures[:1]))[0], Look)
    reasons = [look.reason if isinstance(look, PhotoError) else "" for look in looks]
    assert reasons == ["", "fatal", "", "fatal", "", "fatal"]
    assert {path.name for path in tmp_path.glob("*.partial")} == {
        "0.partial", "2.partial", "4.partial",
    }  # fmt: skip


def test_a_process_that_died_of_something_else_refuses_no_picture(tmp_path: Path) -> None:
    with Lookers(LIMITS, partial(processes, 1)) as lookers:
        lookers._pool.submit(signal.raise_signal, signal.SIGKILL)  # as for want of memory
        (look,) = lookers.looks(lookers.submit([(tmp_path / "a.partial", picture(1))]))
    assert isinstance(look, Look)


def test_where_no_process_lives_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os\nos._exit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Lookers(LIMITS, partial(processes, 1)) as lookers:
        looking = lookers.submit([(tmp_path / "a.partial", picture(1))])
        with pytest.raises(EngineError, match="a worker process died"):
            lookers.looks(looking)


@pytest.mark.usefixtures("flawed_decoder")
def test_a_harvest_refuses_such_a_picture_and_asks_for_it_no_more(
    museum: Museum, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    with collection(folder, [*museum.urls(), museum.url("gif/0.gif")]) as ledger:
        assert fetch(ledger, folder) == {"stored": 20, "refused": 1}
        assert fetch(ledger, folder) == {}
    assert len(files_in(folder)) == 20
    assert_consistent(folder)
