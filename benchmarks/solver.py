"""Time of the exact assignment of a batch, by batch size.

    python benchmarks/solver.py --d 2048 --b 128 --b 256 --b 512

Random features stand for a trained network; collapsed ones (mean cosine 0.95) for an untrained
one. "images on rows" is scipy's plain call, "targets on rows" is what nat/alignments.py does, lapx
is the extra's solver; all reach the same optimum, which is checked. Columns are medians in ms;
ratios are over the plain call.
"""

import statistics
import time
from collections.abc import Callable

import click
import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment

from nat.alignments import best_permutation, lapx


def milliseconds(function: Callable[[], object], runs: int) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


@click.command()
@click.option("--d", default=2048, show_default=True, help="Dimension of the targets.")
@click.option("--b", "sizes", multiple=True, type=int, default=[128, 256, 512])
@click.option("--runs", default=7, show_default=True)
def main(d: int, sizes: tuple[int, ...], runs: int) -> None:
    """Print a markdown table."""
    draws = torch.Generator().manual_seed(0)
    print("| b | features | images on rows | targets on rows | ratio | lapx | ratio |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    for b in sizes:
        targets = F.normalize(torch.randn(b, d, generator=draws))
        noise = F.normalize(torch.randn(b, d, generator=draws))
        common = F.normalize(torch.randn(1, d, generator=draws))
        for name, features in (("random", noise), ("collapsed", F.normalize(common + noise / 4))):
            similarity = (features @ targets.T).numpy()
            plain = linear_sum_assignment(similarity, maximize=True)[1]
            given = torch.from_numpy(similarity)
            rows = np.arange(b)
            for chosen in (best_permutation(similarity), lapx.align(given).order.numpy()):
                np.testing.assert_allclose(
                    similarity[rows, plain].sum(), similarity[rows, chosen].sum(), rtol=1e-4
                )
            before = milliseconds(lambda s=similarity: linear_sum_assignment(s, True), runs)
            after = milliseconds(lambda s=similarity: best_permutation(s), runs)
            extra = milliseconds(lambda s=given: lapx.align(s), runs)
            print(f"| {b} | {name} | {before:.2f} | {after:.2f} | {after / before:.2f} |", end="")
            print(f" {extra:.2f} | {extra / before:.2f} |")


if __name__ == "__main__":
    main()
