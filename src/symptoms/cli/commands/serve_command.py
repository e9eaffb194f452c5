"""`symptoms serve`: the page and the API."""

import webbrowser
from typing import Annotated

import typer
from rich.console import Console

from symptoms.cli.options import BaseModelOption, ServiceOption


def serve(
    run: Annotated[
        str | None,
        typer.Argument(
            help="A run by name or folder, a tinker:// path, or 'shipped'. By default the newest finished "
            "run on 100 examples or more that was evaluated, else the classifier that ships."
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond this machine only with a key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any that is free.")] = 8000,
    key: Annotated[
        str | None,
        typer.Option(
            envvar="SYMPTOMS_SERVE_KEY",
            help="Key that requests have to send as bearer token.",
            show_default=False,
        ),
    ] = None,
    country: Annotated[
        str | None,
        typer.Option(help="Country code for helplines, such as GB; by default that of the browser."),
    ] = None,
    per_minute: Annotated[
        int, typer.Option(min=1, help="How many descriptions one client may send in a minute.")
    ] = 600,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    service: ServiceOption = None,
    base_model: BaseModelOption = None,
) -> None:
    """Show a page that assesses descriptions and follows trainings, with an API beside it.

    It is for this machine alone unless --host says otherwise. Ctrl-C ends it.
    """
    # Loaded on demand, as no other command needs a server.
    from symptoms.web import ServeOptions
    from symptoms.web import serve as serve_until_interrupted

    status = Console(stderr=True).status("loading the model")

    def ready(url: str, model: str) -> None:
        status.stop()
        typer.echo(f"{model} answers at {url} (Ctrl-C ends it)")
        if open_page:
            webbrowser.open(url)

    options = ServeOptions(run, host, port, service, base_model, country, key, per_minute)
    status.start()
    try:
        serve_until_interrupted(options, ready)
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
    finally:
        status.stop()
