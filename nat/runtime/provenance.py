"""Where a number comes from: code, versions, machine, seconds."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

# Distributions, and the modules that tell their version where it was installed under another name.
PACKAGES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "numpy": "numpy",
    "scipy": "scipy",
    "scikit-learn": "sklearn",
    "opencv-contrib-python-headless": "cv2",
}


def version_of(distribution: str, module: str) -> str:
    """The installed version; without metadata that of the loaded module, or "unknown".

    A result is written at the end of hours: no damage of the installation may lose it.
    """
    with suppress(Exception):  # metadata that is missing, or damaged in any way
        found = version(distribution)
        if isinstance(found, str):
            return found
    return str(getattr(sys.modules.get(module), "__version__", "unknown"))


def commit() -> str:
    """The commit of the code in use, ``+`` behind it when files differ from it, or "unknown"."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *words],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "..")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, ValueError, subprocess.CalledProcessError):  # no git, or a downloaded archive
        return "unknown"


def processor() -> str:
    """The processor's name as the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def provenance(
    parameters: dict[str, Any],
    seed: int,
    data: Mapping[str, Any],
    seconds: float,
    device: torch.device,
    compiled: bool = False,
) -> dict[str, Any]:
    """What a reader needs to judge a number and to measure it again.

    Args:
        parameters: the settings that determined the result.
        seed: of this run.
        data: what the number was measured on: ``data``, its name; ``store``, which changes with
            its content; ``images``, how many there are, by split.
        seconds: wall time of the computation, interruptions not counted.
        device: where it ran.
        compiled: whether networks were, by torch.compile.
    """
    hardware = f"{os.cpu_count()} x {processor()}"
    if device.type == "cuda":
        hardware = f"{torch.cuda.get_device_name(device)}, {hardware}"
    return {
        **data,
        "seed": seed,
        "seconds": round(seconds, 1),
        "device": device.type,
        "threads": torch.get_num_threads(),
        "compiled": compiled,
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "launcher": "torchrun" if "TORCHELASTIC_RUN_ID" in os.environ else "python",
        "hardware": hardware,
        "python": platform.python_version(),
        "versions": {name: version_of(name, module) for name, module in PACKAGES.items()},
        "commit": commit(),
        "parameters": parameters,
    }
