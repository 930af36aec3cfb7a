"""The commands `bapps-distance`, `bapps-weights` and `bapps-train`."""
