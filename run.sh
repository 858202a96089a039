#!/usr/bin/env bash
# The two commands of the README, and nothing that they do not need.
#
#   bash run.sh          environment, data, dvc repro: all tables and figures into reports/
#   bash run.sh test     environment, test suite
#
# Further words go to `dvc repro` or to pytest. NAT_VENV names another environment than .venv.
set -euo pipefail
cd "$(dirname "$0")"

venv="${NAT_VENV:-.venv}"
python="${PYTHON:-python3}"

fail() {
  echo "error: $1" >&2
  exit 1
}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
  fail "$python is missing or older than Python 3.11; install one or name it: PYTHON=python3.12 bash run.sh"

if [ ! -x "$venv/bin/python" ]; then
  "$python" -m venv "$venv" ||
    fail "$python cannot create environments; on Debian run: apt-get install python3-venv"
fi
# shellcheck disable=SC1091
source "$venv/bin/activate"

# the environment is as the project files say when its stamp holds their checksum
stamp="$venv/nat-installed"
state="$(cat pyproject.toml constraints.txt | python -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())') $PWD"
if [ "$(cat "$stamp" 2>/dev/null)" != "$state" ]; then
  echo "Installing into $venv (PyTorch alone takes 6 GB and some minutes) ..." >&2
  python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
  echo "$state" >"$stamp"
fi

# DVC wants a git repository unless told otherwise; a downloaded archive is none
if [ ! -e .git ]; then
  dvc config --local core.no_scm true
fi

case "${1:-repro}" in
  repro)
    shift || true
    dvc repro "$@"
    echo "Read reports/README.md, or open reports/index.html" >&2
    ;;
  test)
    shift
    # files side by side on all cores, each computing in one thread
    OMP_NUM_THREADS=1 python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder "$@"
    ;;
  *)
    fail "unknown word '$1'; use: bash run.sh [repro | test] [options]"
    ;;
esac
