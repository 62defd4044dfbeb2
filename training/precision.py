"""bfloat16 where the device has instructions for it; elsewhere it is emulated, and slower."""

from __future__ import annotations

from typing import Literal

import torch
from fastai.callback.core import Callback

Precision = Literal["bf16", "fp32"]


def layer_precision(setting: Precision | Literal["auto"], device: torch.device) -> Precision:
    """The setting, or for `auto` the faster one on the device.

    That is bf16 on GPUs from Ampere on and on x86 processors with AVX-512 BF16 or AMX, else fp32.
    """
    if setting != "auto":
        return setting
    if device.type == "cuda":
        computes_it = torch.cuda.is_bf16_supported(including_emulation=False)
    else:  # torch.cpu.get_capabilities says it in public, from torch 2.11 on
        computes_it = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return "bf16" if computes_it else "fp32"


class Autocast(Callback):
    """Compute the layers in bfloat16; fastai's own callback knows CUDA alone."""

    def before_batch(self) -> None:
        self.context = torch.autocast(self.dls.device.type, dtype=torch.bfloat16)
        self.context.__enter__()

    def after_pred(self) -> None:
        self.learn.pred = self.pred.float()

    def after_loss(self) -> None:
        self.context.__exit__(None, None, None)
