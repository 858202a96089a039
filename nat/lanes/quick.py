"""The smallest part of the pipeline that shows what the paper claims: NAT above Random.

The trainings are the pipeline's own, which `bash run.sh` does not repeat. Of NAT's checkpoints the
last alone is probed, as the others, of Figure 2, take twice as long again.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from nat.lanes.plan import Plan
from nat.lanes.run import Lanes, follow
from nat.lanes.worker import run_command
from nat.report.names import PROBES, label
from nat.runtime.errors import UserError
from nat.runtime.io.paths import place
from nat.runtime.naming import Name
from nat.runtime.settings.params import NAT, Params

RANDOM = "random"
HEAD = "accuracy, %"


def quick(params: Params) -> list[str]:
    """Train NAT and the untrained trunk's row, of the first seed; the accuracies as a table.

    Raises:
        UserError: a stage failed, or ``methods`` lacks one of both.
    """
    for method in (NAT, RANDOM):
        if method not in params.methods:
            raise UserError(f"params.yaml: methods: {method} is missing; `quick` compares with it")
    seed = params.seeds[0]
    nat, random = Name(NAT, seed=seed), Name(RANDOM, seed=seed)
    follow(Plan(params.methods, [f"pretrain@{seed}", f"probe@{random}"]), params)
    result = nat.result("probe")
    if Plan(params.methods, [f"probe@{nat}"]).next() is not None:
        result = place(params.machine.scratch) / f"quick-{nat}.json"
        words = ["probe", NAT, "--seed", str(seed), "--out", str(result)]
        _run([*words, "--network", str(nat.network / "network.safetensors")], params)
    rows = {method.method: _measured(file) for method, file in
            ((nat, result), (random, random.result("probe")))}  # fmt: skip
    return table(rows)


def _run(words: Sequence[str], params: Params) -> None:
    with Lanes(params) as lanes:
        lanes.start(words[0], run_command, words)
        while lanes.jobs:
            for name, code in lanes.wait():
                if code:
                    raise UserError(f"failed, see above: {name}")


def _measured(file: Path) -> dict[str, float]:
    return json.loads(file.read_text(encoding="utf-8"))["measured"]


def table(rows: dict[str, dict[str, float]]) -> list[str]:
    """Lines: a row a method, a column a classifier, and what they say.

    Args:
        rows: accuracies in percent by method, NAT and random among them, and by classifier.
    """
    names = {method: label(method) for method in rows}
    wide = max(map(len, [HEAD, *names.values()]))
    lines = [f"{HEAD:{wide}} " + "".join(f"{name:>8}" for name in PROBES.values())]
    for method, row in rows.items():
        lines.append(f"{names[method]:{wide}} " + "".join(f"{row[p]:8.2f}" for p in PROBES))
    ahead = rows[NAT]["mlp"] - rows[RANDOM]["mlp"]
    told = f"{abs(ahead):.2f} {'above' if ahead > 0 else 'below'}" if ahead else "as good as"
    return [
        *lines,
        f"With the MLP, the paper's classifier, {names[NAT]} is {told} {names[RANDOM]}.",
    ]
