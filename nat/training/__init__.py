"""What every training loop shares: seeds, schedules, progress, resumable runs, provenance."""
