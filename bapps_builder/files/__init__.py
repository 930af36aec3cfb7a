"""Files and folders that are never half written, rows in batches, work on several cores, downloads."""
