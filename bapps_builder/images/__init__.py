"""Decoding, encoding and enlarging images, and finding near-duplicates."""
