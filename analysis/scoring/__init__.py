"""Numbers about metrics: how well each agrees with people."""
