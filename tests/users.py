"""A second user of the machine, for tests of what two share."""

import os
import shutil
import subprocess
import sys

import pytest

NOBODY = 65534


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
