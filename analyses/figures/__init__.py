"""Figures: arrays and visual parameters in, a Plotly figure out. Nothing here computes or reads an artifact."""
