"""Datasets in the BAPPS layout: reading them, their records, cards, tables and splits."""
