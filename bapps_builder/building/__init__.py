"""From answers and a patch set to a dataset."""
