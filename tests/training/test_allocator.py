"""Freed memory is kept, where the C library can be told to."""

import platform
import subprocess
import sys

import pytest

# a tensor of 64 MiB, made and let go again and again: page faults, once the heap is large enough
SCRIPT = """
import resource, sys, torch
from training.allocator import keep_freed_memory

if sys.argv[1] == "keep":
    print(keep_freed_memory())
for _ in range(20):
    torch.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode: str) -> list[str]:
    command = [sys.executable, "-c", SCRIPT, mode]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told so")
def test_a_tensor_takes_the_memory_of_the_one_before() -> None:
    kept, after = faults("keep")
    (before,) = faults("as it is")
    assert kept == "True"
    assert int(after) < int(before) / 10
