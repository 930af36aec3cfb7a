"""The command `bapps-build`, and what all commands share."""
