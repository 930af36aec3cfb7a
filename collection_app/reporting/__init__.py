"""What is read out of a study: its status, exports, backups."""
