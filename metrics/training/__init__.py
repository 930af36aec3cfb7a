"""Train LPIPS on judgments: the command is `bapps-train`, the loop is `metrics.training.loop.fit`."""
