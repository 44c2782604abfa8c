"""`voicefleet`: the command line."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from voicefleet.api import ApiError, ApiUnavailable, SidecarApi
from voicefleet.bots import BotInvalid, bot_files, import_bots
from voicefleet.call import CallFailed, Dialler
from voicefleet.credential import environ_with, load_or_create
from voicefleet.demo import DemoFailed, demo
from voicefleet.fleet import CannotStart
from voicefleet.mouth import audio_of
from voicefleet.runner import PartFailed
from voicefleet.script import ScenarioInvalid, parse_scenario, scenario_of
from voicefleet.settings import FleetSettings
from voicefleet.show import Progress, print_recording, print_result
from voicefleet.up import up

DEFAULT_BOT = "appointment_desk"
DEFAULT_LINES = ["What are your opening hours?"]

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Voice bots on the phone.")
bots_app = typer.Typer(no_args_is_help=True, help="Bots: import, list, show.")
calls_app = typer.Typer(no_args_is_help=True, help="Calls: list, show, result.")
app.add_typer(bots_app, name="bots")
app.add_typer(calls_app, name="calls")

# A pipe has no width to fit tables into.
_PIPE_WIDTH = 200
console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
errors = Console(stderr=True)


@app.command(name="up")
def up_command() -> None:
    """Run the whole platform here until Ctrl-C."""
    _run(up(FleetSettings(), console))


@app.command(name="demo")
def demo_command() -> None:
    """Start everything, place one call, show it, print its result."""
    _run(demo(FleetSettings(), console))


@app.command()
def call(
    bot: Annotated[str, typer.Option(help="Which bot to call.")] = "",
    say: Annotated[
        list[str] | None, typer.Option(help="What the caller says, turn by turn; repeatable.")
    ] = None,
    wav: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="What the caller plays.")
    ] = None,
    scenario: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="What the caller does.")
    ] = None,
    token: Annotated[str, typer.Option(help="The bot's stream token, if it has one.")] = "",
) -> None:
    """Place a call to a running platform and show it."""
    settings = FleetSettings()
    if scenario is not None:
        script = parse_scenario(scenario.read_text(), scenario.parent)
    else:
        script = scenario_of(say or ([] if wav else DEFAULT_LINES), wav)

    async def place() -> None:
        async with _api(settings) as api:
            bridge_url = settings.bridge_url or f"ws://127.0.0.1:{settings.bridge_port}"
            cache = settings.voicefleet_home / "caller"
            with Progress(console, "Making the caller's voice …"):
                audio = await audio_of(script, cache)
            dialler = Dialler(api, bridge_url.rstrip("/"), console, token)
            result = await dialler.place(bot or script.bot or DEFAULT_BOT, script, audio)
        print_result(console, result)
        print_recording(console, result, settings.voicefleet_home / "data" / "recordings")

    _run(place())


@bots_app.command(name="import")
def import_command(
    paths: Annotated[
        list[Path] | None, typer.Argument(exists=True, help="YAML files; default: all of bots/.")
    ] = None,
) -> None:
    """Store bots from YAML files; each becomes a new version."""
    settings = FleetSettings()

    async def run() -> None:
        async with _api(settings) as api:
            stored = await import_bots(api, paths or bot_files(settings.bots_dir))
        for bot in stored:
            console.print(f"{bot['bot_id']}: version {bot['version']}", highlight=False)

    _run(run())


@bots_app.command(name="list")
def list_bots() -> None:
    """List the bots."""

    async def run() -> None:
        async with _api(FleetSettings()) as api:
            bots = await api.bots()
        table = _table("bot", "name", "version", "changed")
        for bot in bots:
            table.add_row(
                bot["bot_id"], bot["name"], str(bot["version"]), _moment(bot["updated_at"])
            )
        console.print(table)

    _run(run())


@bots_app.command(name="show")
def show_bot(bot_id: str) -> None:
    """Show one bot's config, without its secrets."""

    async def run() -> None:
        async with _api(FleetSettings()) as api:
            print_result(console, await api.bot(bot_id))

    _run(run())


@calls_app.command(name="list")
def list_calls(
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, newest first.")] = 20,
) -> None:
    """List the newest calls."""

    async def run() -> None:
        async with _api(FleetSettings()) as api:
            calls = await api.calls(limit=limit)
        table = _table("call", "planned", "bot", "seconds", "how it ended")
        for each in calls:
            table.add_row(
                each["call_id"],
                _moment(each["planned_at"]),
                each["bot_id"],
                f"{each['call_duration_seconds']:.1f}",
                each["reason"] or f"({each['state']})",
            )
        console.print(table)

    _run(run())


@calls_app.command(name="show")
def show_call(call_id: str) -> None:
    """Show where one call stands."""

    async def run() -> None:
        async with _api(FleetSettings()) as api:
            print_result(console, await api.call(call_id))

    _run(run())


@calls_app.command(name="result")
def show_result(call_id: str) -> None:
    """Show one call's result."""

    async def run() -> None:
        async with _api(FleetSettings()) as api:
            print_result(console, await api.result(call_id))

    _run(run())


def _api(settings: FleetSettings) -> SidecarApi:
    url = settings.sidecar_url or f"http://127.0.0.1:{settings.sidecar_port}"
    environ = environ_with(load_or_create(settings.voicefleet_home), os.environ)
    return SidecarApi(url, settings.admin_api_key or environ["ADMIN_API_KEY"])


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for number, column in enumerate(columns):
        # The first one is what other commands want to be given: it stays whole.
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    return table


def _moment(at: str) -> str:
    return at[:19].replace("T", " ")


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run a command; what a person can mend ends in a sentence, not in a traceback."""
    try:
        asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except ApiUnavailable as error:
        _fail(f"{error}. Start the platform with `make run`, or set SIDECAR_URL.")
    except PartFailed as error:
        _fail(f"{error}.", *error.tail)
    except (ApiError, BotInvalid, CallFailed, CannotStart, DemoFailed) as error:
        _fail(str(error))


def _fail(message: str, *details: str) -> None:
    for line in details:
        errors.print(escape(line), style="dim", highlight=False, soft_wrap=True)
    errors.print(f"[bold red]✗[/] {escape(message)}", highlight=False, soft_wrap=True)
    raise typer.Exit(1)


def main() -> None:
    """Run the command that was asked for."""
    try:
        app()
    except ScenarioInvalid as error:
        errors.print(f"[bold red]✗[/] The scenario is not valid: {escape(str(error))}")
        sys.exit(2)


if __name__ == "__main__":
    main()
