"""What a GPU would refuse, told by devices of PyTorch that compute nothing."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from training.callbacks import restore_optimizer
from training.train import set_rows


def learner_on(device: str) -> Learner:
    loaders = DataLoaders(DataLoader([0], bs=1), DataLoader([0], bs=1), device=torch.device(device))
    return Learner(loaders, nn.Linear(4, 3), nn.CrossEntropyLoss())


def test_the_optimiser_of_a_resumed_run_is_where_its_network_computes() -> None:
    before = learner_on("cpu")
    before.create_opt()
    for parameter in before.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before.opt.step()
    learner = learner_on("meta")
    restore_optimizer(learner, before.opt.state_dict())
    moments = [
        value
        for parameter in learner.model.parameters()
        for value in learner.opt.state[parameter].values()
        if isinstance(value, torch.Tensor)
    ]
    assert moments
    assert {moment.device.type for moment in moments} == {"meta"}


def set_rows_on_a_gpu() -> str:
    with FakeTensorMode():  # says, as a GPU does, what is on another device
        head = nn.Linear(4, 3, device="cuda")
        set_rows(head, np.array([0, 2]), np.zeros((2, 4)), np.zeros(2))
        return head.weight.device.type


def test_a_fitted_head_goes_where_its_network_is() -> None:
    # In a process of its own: what fake tensors leave behind in libraries would end other tests.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(set_rows_on_a_gpu).result() == "cuda"
