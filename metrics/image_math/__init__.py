"""The arithmetic that several metrics share: color, windows, gradients, similarity maps, threads."""
