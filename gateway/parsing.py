"""One header of a ``.npy`` file at a time.

NumPy reads them as Python literals, and before 3.11.8 two threads that parse at once may fail with
``SystemError: AST constructor recursion depth mismatch`` (python/cpython, issue 106905).
"""

import threading

PARSING = threading.Lock()
"""Held by whoever has NumPy read a header."""
