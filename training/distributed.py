"""One training in several processes: `accelerate launch --num_processes 2 -m training fit …`.

Each process takes its share of every batch; gradients are averaged, so the result is that of one
process with the same global batch, but for the order of sums and each share's own augmentation.
Started without `accelerate`, everything here does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from accelerate import DistributedDataParallelKwargs, PartialState
from fastai.data.load import DataLoader
from fastai.distributed import DistributedDL, DistributedTrainer
from fastai.torch_core import default_device, num_distrib, rank_distrib
from torch import nn


def processes() -> int:
    """How many train together."""
    return max(1, num_distrib())


def is_main() -> bool:
    """Whether this process is the one that writes files and exports."""
    return rank_distrib() == 0


@contextmanager
def main_first() -> Iterator[None]:
    """The main process does the work first; the others then find it done."""
    if processes() == 1:
        yield
    else:
        with _state().main_process_first():
            yield


def _state() -> PartialState:
    """What accelerate knows of the processes: of several on CPUs nothing, unless it is told."""
    return PartialState(cpu=_on_cpu())


def _on_cpu() -> bool:
    return default_device().type == "cpu"


def bare(model: nn.Module) -> nn.Module:
    """The network inside PyTorch's wrapper."""
    return model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model


class Share(DistributedDL):
    """fastai's loader of one process's share; its order also travels without CUDA."""

    def _broadcast(self, t: Sequence[int], rank: int) -> list[int]:
        order = torch.as_tensor(t, device=_state().device)
        torch.distributed.broadcast(order, rank)
        return order.tolist()


class Distributed(DistributedTrainer):
    """fastai's callback around PyTorch's DistributedDataParallel, on GPUs or CPUs.

    Batch norm keeps its statistics (`training.network`), so none is to be shared; the deepest
    layers have no gradients until they thaw, which PyTorch has to be told.
    """

    def __init__(self) -> None:
        thawing = DistributedDataParallelKwargs(find_unused_parameters=True)
        super().__init__(sync_bn=False, cpu=_on_cpu(), kwargs_handlers=[thawing])

    def _wrap_dl(self, dl: DataLoader) -> Share:
        return dl if isinstance(dl, Share) else Share(dl, device=_state().device)
