"""The command line. Every command is imported when it is called, so that each answers at once."""

from __future__ import annotations

import click

from localcrm import __version__
from localcrm.commands.frame import Program, Session, common_options, option
from localcrm.kernel.i18n import N_

_COMMANDS = {
    name: f"localcrm.commands.{place}"
    for name, place in {
        "init": "folder:init",
        "demo": "folder:demo",
        "entities": "records:entities",
        "list": "records:list_records",
        "get": "records:get",
        "new": "records:new",
        "set": "records:set_fields",
        "delete": "records:delete",
        "undelete": "records:undelete",
        "verbs": "records:verbs",
        "do": "records:do",
        "import": "tables:import_file",
        "export": "tables:export_file",
        "search": "records:search",
        "history": "records:history",
        "record": "past:record",
        "sync": "exchange:sync",
        "serve-hub": "exchange:serve_hub",
        "backup": "folder:backup",
        "restore": "folder:restore",
        "move": "folder:move",
        "arrive": "folder:arrive",
        "check": "folder:check",
        "passphrase": "folder:passphrase",
        "reset": "resets:reset",
    }.items()
}


@click.group(
    cls=Program,
    places=_COMMANDS,
    invoke_without_command=True,
    help=N_("Customers, orders and stock, offline first. Without a command the program starts and opens the browser."),
)
@option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help=N_("Address to listen on; another than this computer's own is served over HTTPS only."),
)
@option("--port", type=click.IntRange(0, 65535), help=N_("Port to listen on (default: 8460, or any free one)."))
@option("--no-browser", is_flag=True, help=N_("Do not open the browser."))
@common_options
@click.version_option(__version__, prog_name="localcrm")
@click.pass_context
def cli(ctx: click.Context, host: str, port: int | None, no_browser: bool) -> None:
    if ctx.invoked_subcommand is None:
        from localcrm.app import serve

        session = ctx.ensure_object(Session)
        ctx.exit(serve(session.folder, host=host, port=port, open_browser=not no_browser, passphrase=session.passphrase))


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    cli.main()


if __name__ == "__main__":
    main()
