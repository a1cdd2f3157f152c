"""Version to answer: load, verify, warm up, run, unload."""
