"""The result store: what the scoring stage writes and the dashboard reads."""
