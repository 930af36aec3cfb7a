"""The ground floor: patches, items, answers and datasets, on disk and in memory."""
