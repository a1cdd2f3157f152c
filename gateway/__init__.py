"""The server: serving models, and changing which one is served."""
