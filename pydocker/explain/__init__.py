"""Plans told to a person: what `run --dry-run` prints. The steps are the server's and the runtime's own."""
