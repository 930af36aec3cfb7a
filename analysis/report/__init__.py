"""The pages, figures and tables that results are shown in."""
