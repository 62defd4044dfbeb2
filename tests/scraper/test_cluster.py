"""Finding and downloading on two nodes of a Ray cluster, of which one dies in the middle."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from scraper.cluster import LOT, Site, download_on_cluster, lots
from scraper.download import PUT_OFF
from scraper.flight import AHEAD
from scraper.ledger import Ledger
from scraper.ledger.records import Item
from scraper.settings import ScraperSettings
from tests.postgres import needs_postgres, new_database
from tests.scraper.collecting import EVERYTHING, Tally, asked, files_in
from tests.scraper.museum import Museum
from tests.waiting import wait_until

PROJECT = Path(__file__).parents[2]
PICTURES = 300
AT_A_TIME = 3
SETTINGS = ScraperSettings(host_delay=0, host_concurrency=AT_A_TIME, backoff_seconds=0.05)


@pytest.fixture
def nodes() -> Iterator[Any]:
    """A Ray cluster of one node on this machine; `add_node` adds more."""
    utils = pytest.importorskip("ray.cluster_utils", reason="Ray is not installed")
    cluster = utils.Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 10**8}
    )
    try:
        yield cluster
    finally:
        cluster.shutdown()


def item(number: int, host: str) -> Item:
    return Item(f"{host}{number}", f"https://{host}/{number}.jpg", number, "ganesha", "met")


def test_a_lot_has_pictures_of_all_hosts() -> None:
    items = [item(n, host) for host in ("a.test", "b.test") for n in range(LOT)]
    cut = list(lots(items))
    assert sorted(one.key for lot in cut for one in lot) == sorted(one.key for one in items)
    for lot in cut:
        assert set(Counter(one.url.split("/")[2] for one in lot).values()) == {LOT // 2}


def kill(museum: Museum, requests: int, cluster: Any, node: Any) -> tuple[int, int]:
    """Kill a node without warning as soon as the museum has seen so many requests.

    Returns:
        The most visitors that had been there at a time until then, and the tasks that had begun.
    """
    wait_until(lambda: len(museum.requests) >= requests)
    visitors = museum.most_visitors
    tasks = museum.count("robots.txt")  # each reads it for itself
    cluster.remove_node(node, allow_graceful=False)
    return visitors, tasks


def find(table: Path, folder: Path, place: str, address: str) -> None:
    """The command, as it is typed."""
    command = f"find --class ganesha --source urls={table} --limit {PICTURES} --out {folder}"
    onto = f"--engine ray --address {address} --ledger {place}"
    subprocess.run(
        [sys.executable, "-m", "scraper", *command.split(), *onto.split()], cwd=PROJECT, check=True
    )


@needs_postgres
@pytest.mark.xdist_group("ray")  # one cluster at a time
def test_a_node_that_dies_takes_nothing_along_and_blocks_no_host(
    nodes: Any, postgres: str, tmp_path: Path
) -> None:
    node = nodes.add_node(num_cpus=1, object_store_memory=10**8)
    folder, table = tmp_path / "data", tmp_path / "pictures.csv"
    folder.mkdir()
    place = new_database(postgres)
    tally = Tally()
    with Museum(pictures=PICTURES, latency=0.05) as museum, Ledger(place) as ledger:
        with table.open("w", newline="") as file:
            csv.writer(file).writerows([["url", "license"], *([u, "CC0"] for u in museum.urls())])
        find(table, folder, place, nodes.address)
        assert len(ledger.plan(EVERYTHING.selection, EVERYTHING.permits, 9999, "9")) == PICTURES

        site = Site(place, folder, SETTINGS, allow_private=True, address=nodes.address)
        with ThreadPoolExecutor(1) as beside:
            killing = beside.submit(kill, museum, PICTURES // 3, nodes, node)
            download_on_cluster(ledger, site, EVERYTHING, tally)
            visitors, tasks = killing.result()
        assert ledger.plan(EVERYTHING.selection, EVERYTHING.permits, PICTURES, "9") == []
        stored = {one.file_name for one in ledger.stored()}
    assert len(stored) == PICTURES
    assert files_in(folder) == stored
    assert tasks == 2
    assert visitors == AT_A_TIME  # of both together
    twice = sum(times - 1 for times in asked(museum).values())
    # what was in flight on the node: being fetched, in a batch, being looked at
    assert twice <= (AHEAD + PUT_OFF + 1) * AT_A_TIME


def test_a_cluster_needs_a_ledger_that_its_nodes_can_reach() -> None:
    command = [sys.executable, "-m", "scraper", "download", "--engine", "ray"]
    refused = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "--ledger postgresql+psycopg://host/name" in refused.stderr
