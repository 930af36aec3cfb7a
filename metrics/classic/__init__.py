"""Metrics computed from the pixels alone: one paper a file."""
