"""Training: one update (`step`), the run around it (`loop`), and what it writes down (`events`)."""
