"""params.yaml: its schema, its reader, its profiles."""
