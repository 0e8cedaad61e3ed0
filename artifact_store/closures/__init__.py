"""What an analysis can reach: its first-party code and constants, in canonical form."""
