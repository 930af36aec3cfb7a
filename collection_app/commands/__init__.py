"""The command `bapps-collect`."""
