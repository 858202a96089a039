"""What decides no result: settings, files, processes, resumption. No stage depends on it."""
