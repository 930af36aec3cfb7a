"""Simulated people who take part in a study over HTTP."""
