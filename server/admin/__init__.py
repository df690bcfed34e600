"""What `shoal`, the administrator's tool, does: one module for each of its larger commands."""
