"""Metrics on the features of networks: LPIPS, and distances of nets that nobody calibrated."""
