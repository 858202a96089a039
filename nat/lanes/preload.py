"""Loads what stages load, in the server that their processes are forked from (see worker.py)."""

import importlib
import sys
from contextlib import suppress

OF_DVC = ("dvc.repo.reproduce", "dvc.repo.index", "dvc.stage.cache", "dvc.stage.run", "dvc.scm",
          "dvc.dvcfile", "dvc.output", "dvc_data.hashfile.state", "dvc.lock", "dvc.rwlock",
          "dvc.repo.artifacts", "dvc.repo.datasets", "dvc.repo.plots", "dvc.repo.stage",
          "dvc.utils.strictyaml", "dulwich.ignore", "dulwich.index", "dulwich.worktree",
          "pyparsing")  # fmt: skip
OF_STAGES = ("torch._dynamo", "torchvision.datasets", "torchvision.ops", "scipy.optimize",
             "scipy.stats", "scipy.ndimage", "scipy.io", "sklearn.metrics", "sklearn.neighbors",
             "pandas", "cv2", "PIL.JpegImagePlugin", "pydantic.main", "ruamel.yaml", "click",
             "safetensors.torch")  # fmt: skip

for name in (*OF_DVC, *(OF_STAGES if sys.platform == "linux" else ())):
    with suppress(Exception):  # whoever needs it tells what is wrong with it
        importlib.import_module(name)
