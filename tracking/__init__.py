"""What happened while training: experiments, runs, metrics, artifacts, and the shared ground."""
