"""The convolution trunks behind deep metrics: one architecture a file."""
