"""Answers of people: their table, who is excluded, and the arithmetic of votes."""
