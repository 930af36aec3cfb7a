"""The commands `bapps-score`, `bapps-report`, `bapps-consistency` and `bapps-mos`."""
