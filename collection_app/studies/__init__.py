"""Study files, their presets and sentinels, and installing a study in a database."""
