"""The pages of whoever runs a study."""
