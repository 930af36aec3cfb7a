"""Numbers about people: how well they agree, how reliable each is, how many are needed."""
