"""Where a number comes from: code, versions, machine, seconds."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "scikit-learn",
    "opencv-contrib-python-headless",
)


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
    except (OSError, subprocess.CalledProcessError):  # no git, or a downloaded archive
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
    parameters: dict[str, Any], seed: int, data: str, seconds: float, device: torch.device
) -> dict[str, Any]:
    """What a reader needs to judge a number and to measure it again.

    Args:
        parameters: the settings that determined the result.
        seed: of this run.
        data: the name of the data the number was measured on.
        seconds: wall time of the computation, interruptions not counted.
        device: where it ran.
    """
    hardware = f"{os.cpu_count()} x {processor()}"
    if device.type == "cuda":
        hardware = f"{torch.cuda.get_device_name(device)}, {hardware}"
    return {
        "data": data,
        "seed": seed,
        "seconds": round(seconds, 1),
        "device": device.type,
        "threads": torch.get_num_threads(),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "hardware": hardware,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "commit": commit(),
        "parameters": parameters,
    }
