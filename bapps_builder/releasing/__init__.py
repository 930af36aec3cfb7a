"""From a dataset to a release that may leave the house."""
