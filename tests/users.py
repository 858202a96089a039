"""A second user of the machine, for tests of what two share."""

import ctypes
import os
import shutil
import subprocess
import sys

import pytest

NOBODY = 65534
# of <linux/capability.h> and <linux/prctl.h>
CAP_DAC_READ_SEARCH, CAPABILITY_VERSION = 2, 0x20080522
PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 8, 47, 2


def another_user() -> list[str]:
    """Words before a command that run it as a user who is not root and owns nothing.

    That user may look into every folder, as Python or the tests may lie in root's, but writes only
    what the permissions allow. Started by somebody else than root, the command is run as that
    user, whom permissions bind as well: then the list is empty.

    Skips the test where root cannot become another user.
    """
    if os.getuid():
        return []
    words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    words += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    if not shutil.which("setpriv"):
        pytest.skip("setpriv (util-linux) is not installed")
    tried = subprocess.run([*words, sys.executable, "-c", ""], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"cannot become another user: {tried.stderr.strip()}")
    return words


def become(user: int) -> None:
    """Go on as another user, if root: what ``setpriv`` does for a command, for this process.

    That user, too, may look into every folder: Python loads some modules late.

    Raises:
        OSError: the system does not let us, as in some containers.
    """
    system = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *values: object) -> None:
        if getattr(system, name)(*values):
            raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")

    call("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    # effective, permitted, inheritable; of the first 32 capabilities and of the others
    call("capset", header, (ctypes.c_uint32 * 6)(*3 * [1 << CAP_DAC_READ_SEARCH], 0, 0, 0))
    call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0)
