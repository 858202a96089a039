"""The stage ``check``: refuses a wrong setting before anything runs.

Every command checks the parameter file's own settings as it reads them. What only the files of
families know, such as a compared method's learning rate, is checked here, for all of them: that
takes their import, which a command on one of them does not need.
"""

from pathlib import Path

from nat.methods import find_method, settings_of
from nat.runtime.errors import UserError
from nat.runtime.io.files import atomic_write
from nat.runtime.io.outputs import beginning
from nat.runtime.io.paths import check_untracked
from nat.runtime.settings.load import overridden
from nat.runtime.settings.params import Params
from nat.targets import settings_for

# the same words whatever the settings, so that a change of theirs reruns nothing by itself
WORDS = "Every setting has a known name and a possible value.\n"


def check(params: Params, path: Path | str, out: Path) -> None:
    """Check all settings, then write ``out``, for the stages that wait for it.

    Args:
        params: of the parameter file.
        path: of that file, for messages.
        out: to write.

    Raises:
        UserError: a setting is unknown, missing or wrong, or a file lacks what its family needs.
    """
    for setting in ("data", "scratch", "keep", "tensorboard"):
        folder = getattr(params.machine, setting)
        if folder is not None:
            check_untracked(f"machine.{setting}", folder)
    check_members(params, path)
    with atomic_write(out, beginning("what `nat check` writes", WORDS.encode())) as temporary:
        temporary.write_text(WORDS)


def check_members(params: Params, path: Path | str) -> None:
    """Check the settings of families' files, of those not in use and of every ablation too.

    Raises:
        UserError: a setting is unknown, missing or wrong, or a file lacks what its family needs.
    """
    for override in ["", *params.ablations.nat, *params.ablations.labels]:
        try:
            varied = overridden(params, override, path)
        except UserError as error:
            raise UserError(f"{error}; mend it, or take it out of ablations") from error
        for target_type in sorted({varied.target_type, *(varied.targets.model_extra or {})}):
            settings_for(target_type, varied.targets, path)
        for method in sorted({*varied.compared, *varied.baselines}):
            settings_of(find_method(method), method, varied, path)
