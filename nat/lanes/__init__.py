"""Stages side by side, which `dvc repro` runs one after the other: `python -m nat lanes`.

DVC decides what is to be run (plan.py), runs each stage and keeps what it made (worker.py), so that
results, checksums and locks are those of `dvc repro`; this package gives out the stages (run.py).
"""
