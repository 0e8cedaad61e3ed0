"""Content-addressed artifacts of model checkpoints."""
