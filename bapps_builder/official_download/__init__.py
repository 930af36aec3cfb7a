"""The authors' archives: fetched in ranges and unpacked."""
