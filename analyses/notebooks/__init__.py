"""Notebooks that explain, with what they show; `python -m analyses.notebooks` executes them again."""
