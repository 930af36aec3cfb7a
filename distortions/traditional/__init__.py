"""The paper's twenty traditional distortions: one family a file."""
