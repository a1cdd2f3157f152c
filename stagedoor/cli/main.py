"""``stagedoor``: the commands there are. Each is imported when it is called, and not before."""

import sys
from importlib import import_module

import click

from stagedoor import __version__

_COMMANDS = {
    "config": "Print every server setting, its value, and where it came from.",
    "db": "Look after the database.",
    "demo": "Train, register, serve, canary and promote, on real data.",
    "export": "Write runs and models into a folder for MLflow.",
    "gc": "Remove for good what was deleted.",
    "import": "Bring runs and models over from MLflow.",
    "models": "Serve one model.",
    "server": "Run the tracking server, the registry and the gateway.",
}

_MODULES = {"import": "importing"}
"""Modules that cannot have the name of their command, which is a word of Python's."""


class _Commands(click.Group):
    """A group whose commands live in modules of this package, one each."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        try:
            module = import_module(f"stagedoor.cli.{_MODULES.get(cmd_name, cmd_name)}")
        except ModuleNotFoundError as error:
            raise click.ClickException(
                f"'stagedoor {cmd_name}' needs the package {error.name!r}, which is not installed: "
                "pip install 'stagedoor[all]'."
            ) from error
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


_HELP = """\
Track, register and serve models; a stage of the registry is the live route.

\b
Examples:
  stagedoor server --workers 2
  stagedoor models serve -m models:/IrisRF/Production -p 5001
  stagedoor demo
"""


@click.command(cls=_Commands, context_settings={"help_option_names": ["--help"]}, help=_HELP)
@click.version_option(__version__, prog_name="stagedoor")
def cli() -> None:
    """Track, register and serve models; a stage of the registry is the live route."""


def main() -> None:
    """Run the command line; what we refuse ends with one sentence and exit code 1."""
    sys.exit(cli.main(standalone_mode=True))
