"""Delay, concurrency and rest are kept per host, and no host keeps another waiting."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scraper.settings import ScraperSettings
from scraper.web.hosts import HostLimits, parse_retry_after
from scraper.web.refusal import Refused

FREE = ScraperSettings(host_delay=0, host_concurrency=0)


async def starts(limits: HostLimits, host: str, requests: int, each: float = 0.0) -> list[float]:
    """When each of so many simultaneous requests, which take `each` seconds, could start."""
    moments = []

    async def ask() -> None:
        await limits.acquire(host)
        moments.append(time.monotonic())
        await asyncio.sleep(each)
        limits.release(host)

    await asyncio.gather(*(ask() for _ in range(requests)))
    return moments


def test_requests_to_a_host_are_apart_by_its_delay() -> None:
    limits = HostLimits(ScraperSettings(host_delay=0.1))
    moments = asyncio.run(starts(limits, "museum.test", 6))
    assert moments[-1] - moments[0] > 0.4  # five pauses, but for what the machine adds or takes


def test_a_host_with_a_limit_of_its_own_is_asked_at_its_own_pace() -> None:
    settings = ScraperSettings(host_delay=0, host_delays={"slow.test": 0.1})
    limits = HostLimits(settings)
    slow = asyncio.run(starts(limits, "slow.test", 6))
    assert slow[-1] - slow[0] > 0.4
    assert limits.describe("other.test").startswith("0 s")


def test_no_more_requests_than_allowed_are_at_a_host_at_a_time() -> None:
    async def most_at_a_time(limits: HostLimits) -> int:
        present, most = 0, 0

        async def ask() -> None:
            nonlocal present, most
            await limits.acquire("museum.test")
            present += 1
            most = max(most, present)
            await asyncio.sleep(0.01)
            present -= 1
            limits.release("museum.test")

        await asyncio.gather(*(ask() for _ in range(10)))
        return most

    two = ScraperSettings(host_delay=0, host_concurrency=2)
    assert asyncio.run(most_at_a_time(HostLimits(two))) == 2
    assert asyncio.run(most_at_a_time(HostLimits(FREE))) == 10
    five_in_all = FREE.model_copy(update={"concurrency": 5})
    assert asyncio.run(most_at_a_time(HostLimits(five_in_all))) == 5


def test_a_slow_host_keeps_no_other_waiting() -> None:
    async def both() -> tuple[list[float], list[float]]:
        limits = HostLimits(ScraperSettings(host_delay=0.2, concurrency=1))
        slow = asyncio.create_task(starts(limits, "slow.test", 5))
        await asyncio.sleep(0)
        other = await starts(limits, "other.test", 1)
        return await slow, other

    slow, other = asyncio.run(both())
    assert other[0] < slow[-1]


def test_a_host_that_rests_is_left_alone_for_that_time() -> None:
    limits = HostLimits(FREE)
    told = time.monotonic()
    limits.rest("museum.test", 0.3)
    assert asyncio.run(starts(limits, "museum.test", 1))[0] - told >= 0.3


def test_a_rest_that_comes_up_while_others_wait_holds_for_them_too() -> None:
    async def interrupted() -> tuple[float, list[float]]:
        limits = HostLimits(ScraperSettings(host_delay=0.1))
        waiting = asyncio.create_task(starts(limits, "museum.test", 2))
        await asyncio.sleep(0.05)
        limits.rest("museum.test", 0.4)
        return time.monotonic(), await waiting

    told, moments = asyncio.run(interrupted())
    assert moments[1] - told >= 0.4


def test_a_rest_longer_than_our_patience_refuses_all_who_ask() -> None:
    limits = HostLimits(ScraperSettings(patience_seconds=10))
    limits.rest("museum.test", 3600)
    for _ in range(3):
        with pytest.raises(Refused) as caught:
            asyncio.run(limits.acquire("museum.test"))
        assert caught.value.reason == "rate_limited"
        assert caught.value.retry == "later"


def test_a_pace_slower_than_our_patience_gives_one_turn_and_refuses_the_others() -> None:
    async def three_turns() -> None:
        limits = HostLimits(ScraperSettings(host_delay=0, patience_seconds=10))
        limits.slow_down("museum.test", 3600)
        await limits.acquire("museum.test")
        limits.release("museum.test")
        for _ in range(2):
            with pytest.raises(Refused, match=r"for 3\d\d\d s more") as caught:
                await limits.acquire("museum.test")
            assert (caught.value.reason, caught.value.retry) == ("rate_limited", "later")

    asyncio.run(asyncio.wait_for(three_turns(), 60))


def test_a_pace_of_our_own_choice_is_kept_however_slow() -> None:
    settings = ScraperSettings(host_delay=0.2, patience_seconds=0.1)
    moments = asyncio.run(starts(HostLimits(settings), "museum.test", 3))
    assert moments[-1] - moments[0] > 0.3


def test_whoever_gives_up_waiting_leaves_the_place_to_others() -> None:
    async def impatient() -> list[float]:
        limits = HostLimits(ScraperSettings(host_delay=0.1, host_concurrency=1))
        await limits.acquire("museum.test")
        waiting = [asyncio.create_task(limits.acquire("museum.test")) for _ in range(3)]
        await asyncio.sleep(0.01)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        limits.release("museum.test")
        return await starts(limits, "museum.test", 2)

    assert len(asyncio.run(impatient())) == 2


def test_whoever_waits_is_told_how_long() -> None:
    async def second_wait() -> float:
        limits = HostLimits(ScraperSettings(host_delay=0.3))
        await limits.acquire("museum.test")
        return await limits.acquire("museum.test")

    assert asyncio.run(second_wait()) > 0.1


def test_a_host_is_slowed_down_and_never_sped_up() -> None:
    limits = HostLimits(ScraperSettings(host_delay=0.1))
    assert limits.slow_down("museum.test", 0.3)
    assert not limits.slow_down("museum.test", 0.2)
    assert limits.describe("museum.test") == "0.3 s between requests, 2 at a time"


# ------------------------------------------------------------------------------------ Retry-After


@pytest.mark.parametrize(("wish", "seconds"), [("0", 0), ("120", 120), (" 7 ", 7)])
def test_seconds_to_wait(wish: str, seconds: float) -> None:
    assert parse_retry_after(wish) == seconds


def test_a_moment_to_wait_for() -> None:
    moment = datetime.now(UTC) + timedelta(minutes=10)
    for wish in (format_datetime(moment, usegmt=True), format_datetime(moment)):
        assert parse_retry_after(wish) == pytest.approx(600, abs=30)


def test_a_moment_that_is_over() -> None:
    assert parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0


@given(st.text(max_size=40) | st.from_regex(r"\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ (GMT|[+-]\d+)"))
def test_nonsense_is_no_wish(wish: str) -> None:
    seconds = parse_retry_after(wish)
    assert seconds is None or seconds >= 0
