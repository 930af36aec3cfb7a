"""Patch sets: generated from photos, imported from other programs, replayed and shown."""
