"""Files: written whole, read with suspicion, found where params.yaml says."""
