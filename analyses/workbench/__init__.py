"""A page on this machine that shows runs as they are stored: one slider over the epochs, and every view follows."""
