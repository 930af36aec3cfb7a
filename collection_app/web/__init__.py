"""What every HTTP answer goes through: errors, headers, limits, logs, proxies."""
