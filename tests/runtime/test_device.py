import os
import subprocess
import sys

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


STEPS = """
import resource, torch
from nat.network.model import Network
from nat.runtime.device import keep_freed_memory
from nat.runtime.settings.params import ModelSettings

torch.set_num_threads(1)
keep_freed_memory()
settings = ModelSettings(preprocessing="sobel", trunk="small", hidden=64, dropout=0.0)
network = Network(settings, 28, 8).to(memory_format=torch.channels_last)
images = torch.randint(0, 256, (256, 1, 28, 28), dtype=torch.uint8)
for step in range(60):
    if step == 40:  # the first ones find their places
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    network(images).sum().backward()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_memory_of_a_step_serves_the_next_one() -> None:
    """Which needs no new pages then; a user's own setting, here one without effect, stays."""

    def pages(**variables: str) -> int:
        words, variables = [sys.executable, "-c", STEPS], os.environ | variables
        return int(subprocess.run(words, env=variables, check=True, capture_output=True).stdout)

    assert 4 * pages() < pages(MALLOC_ARENA_MAX="64")
