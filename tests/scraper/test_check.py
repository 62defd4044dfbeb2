"""Recorded addresses are asked again: alive, changed, dead, or closed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scraper.check import check
from scraper.ledger import Ledger
from scraper.ledger.records import Health, Outcome, Selection, Stored
from scraper.web import PoliteWeb
from tests.scraper.collecting import HURRIED, add, assert_consistent, collection, fetch, files_in
from tests.scraper.museum import Museum


def due(ledger: Ledger) -> list[Stored]:
    return ledger.due(Selection(), datetime.now(UTC) + timedelta(minutes=1), limit=100)


def ask_again(ledger: Ledger, folder: Path) -> dict[Health | None, int]:
    with PoliteWeb(HURRIED, allow_private=True) as web:
        return dict(check(ledger, web, folder, due(ledger), HURRIED))


def test_a_picture_that_is_still_the_same_is_alive(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path, museum.urls()) as ledger:
        fetch(ledger, tmp_path)
        assert ask_again(ledger, tmp_path) == {Health.ALIVE: 20}
        assert ledger.health() == {("ganesha", "urls", "alive"): 20}
    assert_consistent(tmp_path)


def test_without_tags_the_bytes_are_compared(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path, [museum.url("copy/1.jpg")]) as ledger:
        fetch(ledger, tmp_path)
        assert ask_again(ledger, tmp_path) == {Health.ALIVE: 1}


def test_another_picture_at_the_address_is_a_change(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path, [museum.url("changing/1.jpg")]) as ledger:
        fetch(ledger, tmp_path)
        files = files_in(tmp_path)
        assert ask_again(ledger, tmp_path) == {Health.CHANGED: 1}
    assert files_in(tmp_path) == files


def test_a_picture_that_is_gone_is_dead(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path, museum.urls()[18:]) as ledger:
        fetch(ledger, tmp_path)
        museum.pictures = 19
        assert ask_again(ledger, tmp_path) == {Health.ALIVE: 1, Health.DEAD: 1}


def test_a_picture_that_may_no_longer_be_taken_is_closed(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path, museum.urls()[:1]) as ledger:
        fetch(ledger, tmp_path)
        museum.robots = "User-agent: *\nDisallow: /"
        assert ask_again(ledger, tmp_path) == {Health.CLOSED: 1}


def test_a_server_that_is_down_says_nothing_about_its_pictures(tmp_path: Path) -> None:
    with collection(tmp_path) as ledger:
        with Museum() as museum:
            add(ledger, museum.urls()[:1])
            fetch(ledger, tmp_path)
        assert ask_again(ledger, tmp_path) == {None: 1}
        assert len(due(ledger)) == 1
        assert ledger.health() == {}


def test_what_was_not_alive_is_told_with_its_reason(museum: Museum, tmp_path: Path) -> None:
    told = []
    with collection(tmp_path, museum.urls()[:1]) as ledger:
        fetch(ledger, tmp_path)
        museum.pictures = 0
        with PoliteWeb(HURRIED, allow_private=True) as web:
            check(
                ledger, web, tmp_path, due(ledger), HURRIED,
                lambda stored, health, why: told.append((stored.url, health, why)),
            )  # fmt: skip
    ((url, health, why),) = told
    assert (url, health) == (museum.url("picture/0.jpg"), Health.DEAD)
    assert "404" in why


@pytest.mark.parametrize("way", ["picture", "copy"])
def test_checking_takes_nothing_out_and_adds_nothing(
    museum: Museum, tmp_path: Path, way: str
) -> None:
    with collection(tmp_path, [museum.url(f"{way}/1.jpg")]) as ledger:
        fetch(ledger, tmp_path)
        museum.pictures = 0
        ask_again(ledger, tmp_path)
        assert [outcome for *_, outcome, _ in ledger.counts()] == [Outcome.STORED]
    assert_consistent(tmp_path)
