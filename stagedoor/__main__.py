"""``python -m stagedoor``: the command line, where no script is on the path."""

from stagedoor.cli.main import main

main()
