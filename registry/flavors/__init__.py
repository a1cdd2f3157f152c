"""The saved formats: for each, how it is written, loaded and asked."""
