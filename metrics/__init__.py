"""Image distances: a metric maps two batches of images to distances, and bigger is further.

`metrics.registry` finds them by name, `metrics.deep.lpips.LPIPS` is the torch module.
"""
