"""The formats of photographs, one file a format or a library."""
