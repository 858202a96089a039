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


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_memory_of_a_step_serves_the_next_one() -> None:
    """48 MB are 12,288 pages; a user's own setting of malloc stays."""
    program = """
import resource, torch
from nat.runtime.device import keep_freed_memory
keep_freed_memory()
for step in range(5):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty(12 << 20).fill_(1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

    def faults(**variables: str) -> int:
        words, variables = [sys.executable, "-c", program], os.environ | variables
        return int(subprocess.run(words, env=variables, check=True, capture_output=True).stdout)

    assert faults() < 100
    assert faults(MALLOC_TOP_PAD_="131072") > 10_000
