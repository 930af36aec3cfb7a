"""What keeps a server watched: health, metrics, webhooks, polling of platforms."""
