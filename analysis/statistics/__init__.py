"""Intervals, comparisons and models of votes, on arrays alone."""
