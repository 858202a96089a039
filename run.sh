#!/usr/bin/env bash
# The commands of the README, and nothing that they do not need.
#
#   bash run.sh          everything: data, training, tables and figures into reports/; the main ones first
#   bash run.sh quick    the least that shows NAT above an untrained network, in minutes; prints accuracies
#   bash run.sh report   tables and figures from results/, without training
#   bash run.sh repro    everything, one stage after the other, as `dvc repro` does it
#   bash run.sh test     the test suite
#   bash run.sh audit    licences, and known vulnerabilities of the tested versions
#
# Each makes the environment first, .venv, if it is not there. Further words go to `nat report`, `dvc repro`,
# pytest or pip-audit. NAT_VENV names another environment, seen from the project; PYTHON, another Python to
# make it with.
set -euo pipefail
CDPATH='' cd -P -- "$(dirname -- "$0")"

fail() {
  echo "error: $1" >&2
  exit 1
}

word="${1-}"
case "$word" in
  "" | quick | report | repro | test | audit) shift || true ;;
  -h | --help | help)
    sed -n '2,/^set /s/^# \{0,1\}//p' "$0"
    exit
    ;;
  *) fail "unknown word '$word'; use: bash run.sh [quick | report | repro | test | audit], or bash run.sh --help" ;;
esac
case "$word" in
  "" | quick) [ $# = 0 ] || fail "unknown word '$1'; bash run.sh${word:+ $word} takes no further one" ;;
esac

python="${PYTHON:-python3}"
venv="${NAT_VENV:-.venv}"
case "$venv" in
  /*) ;;
  \~ | \~/*) venv="$HOME${venv#\~}" ;;
  *) venv="$PWD/$venv" ;;
esac
venv="${venv%/}"

# --- An environment that is whole, or made anew
#
# It holds nat-made if this script made it, which may then remove what is in it, and nat-installed
# once everything is installed, which says what. Without that it is made anew, as nobody can tell
# what a killed pip has left; so it is when it was moved or its Python is gone. An environment of
# the user's own is installed into, and nothing in it is removed.

python_of() { # which Python and place an environment is made for; nothing if it does not work
  "$1/bin/python" -c 'import sys; print(sys.prefix, *sys.version_info[:2])' 2>/dev/null || true
}

state_of() {
  printf '%s\n%s' "$(python_of "$1")" "$2"
}

is_whole() {
  [ -n "$(python_of "$1")" ] && [ "$(cat "$1/nat-installed" 2>/dev/null)" = "$(state_of "$1" "$2")" ]
}

was_moved() {
  [ "$(head -n 1 "$1/nat-installed")" != "$(python_of "$1")" ]
}

# environment FOLDER STATE WORD...: what `pip install WORD...` installs; STATE changes with it
environment() {
  local folder="$1" state="$2"
  shift 2
  if is_whole "$folder" "$state"; then return; fi
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "$python is missing or older than Python 3.11; install one or name it: PYTHON=python3.12 bash run.sh"
  { mkdir -p "$folder" && [ -w "$folder" ]; } 2>/dev/null ||
    fail "$folder: cannot be written; name another place for the environment: NAT_VENV=FOLDER bash run.sh"
  # held by pip as well, which may outlive this script
  { exec 9>>"$folder/nat-lock"; } 2>/dev/null ||
    fail "$folder/nat-lock: cannot be written, as it is another user's; name another place for the environment: NAT_VENV=FOLDER bash run.sh"
  "$python" -c "$LOCK" 9 "$folder"
  if is_whole "$folder" "$state"; then
    exec 9>&-
    return
  fi

  if [ -z "$(find "$folder" -mindepth 1 -maxdepth 1 ! -name nat-lock)" ]; then
    : >"$folder/nat-made"
  fi
  if [ -e "$folder/nat-made" ]; then
    if [ ! -e "$folder/nat-installed" ] || was_moved "$folder"; then
      make_anew "$folder"
    fi
  elif ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    fail "$folder: no environment with a working Python and pip, and not made by this script; remove it, or name another: NAT_VENV=FOLDER bash run.sh"
  elif [ -e "$folder/nat-updating" ] && [ ! -e "$folder/nat-installed" ]; then
    set -- --ignore-installed "$@" # over what was half installed
  fi

  echo "Installing into $folder ..." >&2
  if [ -e "$folder/nat-installed" ]; then
    mv -f "$folder/nat-installed" "$folder/nat-updating"
  else
    : >>"$folder/nat-updating"
  fi
  trap 'exit 130' INT # not to be taken for a failure, after which pip has put everything back
  PIP_USER=0 "$folder/bin/python" -m pip install --quiet "$@" || {
    if [ -s "$folder/nat-updating" ]; then mv -f "$folder/nat-updating" "$folder/nat-installed"; fi
    fail "$folder: not installed, as pip says above; run the same command again"
  }
  trap - INT
  state_of "$folder" "$state" >"$folder/nat-installing"
  mv -f "$folder/nat-installing" "$folder/nat-installed"
  rm -f "$folder/nat-updating"
  exec 9>&-
}

make_anew() {
  if [ -e "$1/bin" ]; then
    echo "$1: unfinished, moved, or its Python is gone; made anew" >&2
  fi
  rm -f "$1/nat-installed" # first, so that what is half removed does not pass for whole
  find "$1" -mindepth 1 -maxdepth 1 ! -name nat-made ! -name nat-lock -exec rm -rf {} +
  "$python" -c 'import ensurepip' 2>/dev/null ||
    fail "$python cannot create environments; on Debian run: apt-get install python3-venv"
  "$python" -m venv "$1" || fail "$1: no environment, as $python says above"
}

LOCK='
import fcntl, sys
handle, folder = int(sys.argv[1]), sys.argv[2]
try:
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print(f"{folder}: another start of run.sh is at work in it; waiting", file=sys.stderr)
    fcntl.flock(handle, fcntl.LOCK_EX)
except OSError as error:
    print(f"{folder}: no lock ({error.strerror}); do not start a second one", file=sys.stderr)
'

# --- The commands

runs=false
case "$word" in "" | quick | repro) runs=true ;; esac
if $runs; then
  [ -w . ] || fail "$PWD: cannot be written; copy or clone the project to a folder of your own"
  case "$PWD" in
    *[{}]*) fail "$PWD: DVC does not run in a folder with { or } in its path; move the project" ;;
  esac
fi

if [ ! -e "$venv/nat-installed" ]; then
  echo "PyTorch alone takes 6 GB and some minutes" >&2
fi
environment "$venv" "$(cat pyproject.toml constraints.txt | cksum) $PWD" \
  --constraint constraints.txt --editable '.[test]'
if [ "$word" = audit ]; then
  tools=(pip-audit==2.10.1 pip-licenses==5.5.5)
  environment "$venv-audit" "${tools[*]}" "${tools[@]}"
fi
unset PYTHONHOME
export VIRTUAL_ENV="$venv" PATH="$venv/bin:$PATH"

if $runs; then
  if printf %s "$PWD" | LC_ALL=C grep -qE '[^ -~]|[#?]'; then
    echo "$PWD: with #, ? or a letter beyond ASCII in its path, \`dvc exp run\` works in the workspace, but not with --queue or --temp" >&2
  fi
  if python -c 'from dvc.scm import SCM; SCM(".")' 2>/dev/null; then
    if grep -qs '^ *no_scm' .dvc/config.local; then # of an archive that has become a repository
      dvc config --quiet --local --unset core.no_scm
      echo ".dvc/config.local: core.no_scm removed, as there is a git repository" >&2
    fi
  else
    # for this call alone, so that nothing is to be undone when it becomes a repository
    export DVC_SYSTEM_CONFIG_DIR="$PWD/.dvc/without-git"
  fi
  # DVC refuses a stage that another DVC runs; a second start waits, and then finds it done
  mkdir -p .dvc/tmp
  { exec 8>>.dvc/tmp/run-lock; } 2>/dev/null ||
    fail "$PWD/.dvc/tmp: cannot be written; copy or clone the project to a folder of your own"
  python -c "$LOCK" 8 "$PWD"
fi

case "$word" in
  "") # in this process's place, so that a signal to it reaches what it started
    exec python -m nat lanes
    ;;
  quick)
    exec python -m nat lanes --quick
    ;;
  repro)
    dvc repro "$@"
    echo "Read reports/README.md, or open reports/index.html" >&2
    ;;
  report)
    python -m nat report "$@"
    ;;
  test)
    # files side by side on all cores, each computing in one thread
    OMP_NUM_THREADS=1 python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder "$@"
    ;;
  audit)
    "$venv-audit/bin/pip-licenses" --python "$venv/bin/python" --order license
    told="$(mktemp -d)"
    trap 'rm -rf "$told"' EXIT
    # strict: a version that the service does not know counts as not checked, not as harmless
    if "$venv-audit/bin/pip-audit" --requirement constraints.txt --no-deps --disable-pip --strict \
      --progress-spinner off "$@" >"$told/found" 2>"$told/errors"; then
      echo "No known vulnerability in the versions of constraints.txt"
    elif [ -s "$told/found" ]; then
      cat "$told/found"
      fail "constraints.txt: known vulnerabilities, see above"
    else
      fail "constraints.txt: not checked, as the list of vulnerabilities cannot be asked ($(tail -n 1 "$told/errors" | cut -c 1-300)); this needs pypi.org, or api.osv.dev: bash run.sh audit --vulnerability-service osv"
    fi
    ;;
esac
