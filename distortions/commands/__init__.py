"""The command `bapps-distort`."""
