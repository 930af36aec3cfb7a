"""Ways to damage a patch, and the generator of patch sets. Still empty: `bapps-distort` comes next."""
