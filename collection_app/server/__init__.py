"""From a study file to a running server."""
