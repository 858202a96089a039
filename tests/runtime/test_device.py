import pytest
import torch
from torch._inductor import config

from nat.runtime.distributed import Distributed
from nat.runtime.errors import UserError


def test_a_missing_compiler_is_told_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = Distributed(torch.device("cpu"), compiled=True)
    with (
        config.patch({"cpp.cxx": (None, "no-such-compiler")}),
        pytest.raises(UserError, match=r"^machine\.compile: .*no-such-compiler.*set it to false"),
    ):
        distributed.wrap(torch.nn.Linear(2, 2))
