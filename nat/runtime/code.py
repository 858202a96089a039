"""Which code decides a stage's result: folders and files of this package.

dvc.yaml names the same as the stage's dependencies, and the key of an interrupted training's state
holds their bytes: tests hold the three against each other and against the imports. The rest of the
package, above all nat/runtime, decides how a result is made and kept, not what it is.
"""

from pathlib import Path

from nat.runtime.io.files import sha256
from nat.runtime.settings.params import NAT, SIFT_FISHER, Params

PACKAGE = Path(__file__).parents[1]
TRAINING = ("data", "evaluation", "methods/__init__.py", "network")
DECIDES = {
    "prepare images": ("data", "datasets"),
    "prepare voc": ("data", "datasets", "voc/data"),
    "targets": ("data", "targets/__init__.py", "targets/{target_type}.py"),
    "pretrain": (
        *TRAINING,
        "alignments/__init__.py",
        "alignments/{alignment}.py",
        "methods/nat.py",
        "targets/__init__.py",
    ),
    "train": (*TRAINING, "methods/{method}.py", "pretext"),
    "probe": ("data", "evaluation", "network", "probe.py"),
    "fisher": ("data", "evaluation", "fisher", "network", "probe.py"),
    "proposals": ("data", "voc/data", "voc/proposals"),
    "finetune": ("data", "network", "voc/classification", "voc/data", "voc/transfer"),
    "detect": ("data", "network", "voc/data", "voc/detection", "voc/transfer"),
    "illustrate": (
        "data",
        "evaluation",
        "illustrate",
        "network",
        "targets/__init__.py",
        "voc/data",
        "voc/detection",
        "voc/transfer",
    ),
    "report": ("illustrate", "methods", "report"),
}


def code_of(stage: str, method: str, params: Params) -> dict[str, str]:
    """The bytes of the code that decides a result, as checksums by file.

    Args:
        stage: as results name it: train, probe, finetune-all, ...
        method: of the training.
        params: which targets, alignment and method are in use.
    """
    stage = stage.partition("-")[0]
    own = {("train", NAT): "pretrain", ("probe", SIFT_FISHER): "fisher"}
    stage = own.get((stage, method), stage)
    names = {
        "target_type": params.target_type,
        "alignment": params.alignment,
        "method": method,
    }
    found = {}
    for pattern in DECIDES[stage]:
        path = PACKAGE / pattern.format(**names)
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            found[str(file.relative_to(PACKAGE))] = sha256(file)
    return found
