"""Analyses of modular-addition transformers."""
