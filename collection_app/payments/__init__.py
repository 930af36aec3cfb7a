"""Who is paid what, and sending it."""
