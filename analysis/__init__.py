"""Numbers about metrics and about people, and the pictures of them."""
