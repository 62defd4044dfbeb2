"""Turns are lent to workers; who vanishes with one does not keep it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from scraper.settings import ScraperSettings
from scraper.turnstile import Turnstile
from scraper.web.refusal import Refused

HOST = "museum.test"
ONE_AT_A_TIME = ScraperSettings(host_delay=0, host_concurrency=1)


def is_waiting(turn: asyncio.Task[Any]) -> bool:
    return not turn.done()


async def soon(asking: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start asking, and let whatever can happen at once happen."""
    task = asyncio.create_task(asking)
    await settle()
    return task


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_workers_get_turns_one_after_the_other() -> None:
    async def go() -> None:
        turnstile = Turnstile(ONE_AT_A_TIME)
        await turnstile.acquire("first", "a", HOST)
        other = await soon(turnstile.acquire("second", "b", HOST))
        assert is_waiting(other)
        turnstile.release("a")
        await other

    asyncio.run(go())


def test_a_worker_that_is_not_heard_of_loses_its_turn() -> None:
    async def go() -> None:
        turnstile = Turnstile(ONE_AT_A_TIME, lease_seconds=0.2)
        await turnstile.acquire("dead", "a", HOST)
        other = await soon(turnstile.acquire("alive", "b", HOST))
        turnstile.beat("alive")
        await settle()
        assert is_waiting(other)
        await asyncio.sleep(0.3)
        turnstile.beat("alive")
        await asyncio.wait_for(other, 60)

    asyncio.run(go())


def test_a_worker_that_gives_signs_of_life_keeps_its_turn() -> None:
    async def go() -> None:
        turnstile = Turnstile(ONE_AT_A_TIME, lease_seconds=60)
        await turnstile.acquire("slow", "a", HOST)
        other = await soon(turnstile.acquire("other", "b", HOST))
        for worker in ("slow", "other") * 3:
            turnstile.beat(worker)
            await settle()
        assert is_waiting(other)
        turnstile.leave("slow")
        await other

    asyncio.run(go())


def test_who_stops_waiting_gets_no_turn() -> None:
    async def go() -> None:
        turnstile = Turnstile(ONE_AT_A_TIME)
        await turnstile.acquire("first", "a", HOST)
        gone = await soon(turnstile.acquire("second", "b", HOST))
        last = await soon(turnstile.acquire("third", "c", HOST))
        turnstile.release("b")
        assert await gone == 0.0
        turnstile.release("a")
        await asyncio.wait_for(last, 60)

    asyncio.run(go())


def test_giving_back_a_turn_that_expired_gives_nobody_a_second_one() -> None:
    async def go() -> None:
        turnstile = Turnstile(ONE_AT_A_TIME)
        await turnstile.acquire("frozen", "a", HOST)
        turnstile.leave("frozen")
        await turnstile.acquire("second", "b", HOST)
        turnstile.release("a")
        third = await soon(turnstile.acquire("third", "c", HOST))
        assert is_waiting(third)
        turnstile.release("b")
        await third

    asyncio.run(go())


def test_a_host_that_wants_rest_from_one_worker_gets_it_from_all() -> None:
    async def go() -> None:
        turnstile = Turnstile(ScraperSettings(host_delay=0, patience_seconds=5))
        turnstile.rest(HOST, 3600)
        refused = await turnstile.acquire("other", "a", HOST)
        assert isinstance(refused, Refused)
        assert refused.reason == "rate_limited"

    asyncio.run(go())


def test_a_delay_that_one_worker_read_in_robots_txt_holds_for_all() -> None:
    async def go() -> None:
        turnstile = Turnstile(ScraperSettings(host_delay=0))
        turnstile.slow_down(HOST, 100)  # within our patience: longer ones are refused
        await turnstile.acquire("first", "a", HOST)
        other = await soon(turnstile.acquire("second", "b", HOST))
        assert is_waiting(other)
        turnstile.leave("second")
        await other

    asyncio.run(go())
