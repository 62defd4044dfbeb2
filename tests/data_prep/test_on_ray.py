"""The steps that look at every picture, on a cluster of which a node dies in the middle."""

from __future__ import annotations

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from data_prep.prepare import run_steps
from data_prep.steps import find_step
from data_prep.table import read_table
from tests.data_prep.pictures import save_dataset, scene
from tests.ray_cluster import two_nodes
from tests.waiting import wait_until

STEPS = [find_step(name) for name in ("validate", "quality", "duplicates")]  # quality embeds


def measured(folder: Path) -> int:
    try:
        with closing(sqlite3.connect(folder / ".data_prep/pixels.sqlite")) as cache:
            return int(cache.execute("SELECT count(*) FROM pixels").fetchone()[0])
    except sqlite3.Error:
        return 0


@pytest.mark.xdist_group("ray")
def test_a_cluster_gives_what_this_machine_gives_though_a_node_dies(
    tmp_path: Path, tiny_bundle: Path
) -> None:
    scenes = [scene(n) for n in range(20)]
    pictures = {f"ganesha/{n}.jpg": scenes[n % 20] for n in range(200)}
    table = save_dataset(tmp_path / "cluster", pictures)
    here = Path(shutil.copytree(table.folder, tmp_path / "here"))

    with two_nodes() as nodes, ThreadPoolExecutor(1) as beside:

        def kill() -> int:
            wait_until(lambda: measured(table.folder) > 0)
            done = measured(table.folder)
            nodes.kill_second()
            return done

        killing = beside.submit(kill)
        options = {"engine": "ray", "address": nodes.address, "bundle": str(tiny_bundle)}
        there = list(run_steps(table.folder, STEPS, options=options))
        killed_at = killing.result()
    assert 0 < killed_at < 200
    local = list(run_steps(here, STEPS, options={"workers": 2, "bundle": str(tiny_bundle)}))
    assert there == local
    rows = [read_table(folder).rows for folder in (table.folder, here)]
    pd.testing.assert_frame_equal(*rows)
    assert (rows[0]["status"] == "rejected").sum() == 180, "exact copies"
