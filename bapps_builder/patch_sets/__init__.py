"""Patch sets: their manifest, and reading them."""
