"""A Ray cluster of two nodes on this machine, one of which a test may kill."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass
class TwoNodes:
    """The running cluster."""

    cluster: Any
    second: Any

    @property
    def address(self) -> str:
        """What `--address` takes."""
        return str(self.cluster.address)

    def kill_second(self) -> None:
        """End the second node as a power cut does."""
        self.cluster.remove_node(self.second, allow_graceful=False)


@contextmanager
def two_nodes() -> Iterator[TwoNodes]:
    """Start it, with a CPU for each node; the test is skipped where Ray is not installed."""
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="Ray is not installed")
    node = {"num_cpus": 1, "object_store_memory": 10**8}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=node)
    try:
        yield TwoNodes(cluster, cluster.add_node(**node))
    finally:
        cluster.shutdown()
