"""Scripts for this project's own development."""
