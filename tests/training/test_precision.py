"""Layers are computed in bfloat16 where that is faster, and as the settings say."""

import re
from pathlib import Path

import pytest
import torch
from fastai.callback.core import Callback

from training.precision import layer_precision
from training.settings import FitSettings
from training.train import fit

CPU = torch.device("cpu")
TINY = FitSettings(epochs=1, train_size=64, valid_size=64, batch_size=8, valid_share=0.25)


class SeesPrecision(Callback):
    """Notes the type in which the last layer computes."""

    def before_fit(self) -> None:
        self.seen = set()
        head = self.model.head
        self.hook = head.register_forward_hook(lambda layer, x, out: self.seen.add(out.dtype))

    def after_fit(self) -> None:
        self.hook.remove()


def test_a_processor_without_the_instructions_computes_in_single_precision() -> None:
    cpu_flags = Path("/proc/cpuinfo")
    if not cpu_flags.is_file():
        pytest.skip("only Linux lists what its processor can do")
    has_them = re.search(r"\bavx512_bf16\b", cpu_flags.read_text()) is not None
    assert layer_precision("auto", CPU) == ("bf16" if has_them else "fp32")


def test_a_device_of_which_nothing_is_known_computes_in_single_precision() -> None:
    assert layer_precision("auto", torch.device("mps")) == "fp32"


@pytest.mark.parametrize(("setting", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_the_setting_decides(
    setting: str, dtype: torch.dtype, drawn_dataset: Path, tiny_backbone: str, tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    watch = SeesPrecision()
    settings = TINY.model_copy(update={"precision": setting})
    fit(drawn_dataset, tiny_backbone, tmp_path / "run", settings, cache=tmp_path, callbacks=[watch])
    assert watch.seen == {dtype}
    assert f"in {setting}" in capfd.readouterr().err
