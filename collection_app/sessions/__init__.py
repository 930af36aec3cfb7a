"""A participant's way through a study: arrival, trials, answers, completion, erasure."""
