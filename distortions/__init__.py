"""Ways to damage a patch, and the generator of patch sets."""
