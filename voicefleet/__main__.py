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

from voicefleet.api import ApiError, ApiUnavailable, SidecarApi
from voicefleet.bots import BotInvalid, bot_files, import_bots
from voicefleet.call import CallFailed, Dialler
from voicefleet.credential import environ_with, load_or_create
from voicefleet.deliveries import deliveries_table, print_delivery
from voicefleet.demo import DemoFailed, demo
from voicefleet.fleet import CannotStart
from voicefleet.knowledge import bases_table, documents_table, print_passages
from voicefleet.mouth import audio_of
from voicefleet.runner import PartFailed
from voicefleet.script import ScenarioInvalid, parse_scenario, scenario_of
from voicefleet.settings import FleetSettings
from voicefleet.show import Progress, moment, print_recording, print_result, table
from voicefleet.up import up

DEFAULT_BOT = "appointment_desk"
DEFAULT_LINES = ["What are your opening hours?"]

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Voice bots on the phone.")
bots_app = typer.Typer(no_args_is_help=True, help="Bots: import, list, show.")
calls_app = typer.Typer(no_args_is_help=True, help="Calls: list, show, result.")
knowledge_app = typer.Typer(no_args_is_help=True, help="Knowledge: make, list, add, search.")
deliveries_app = typer.Typer(no_args_is_help=True, help="Deliveries: list, show, replay.")
app.add_typer(bots_app, name="bots")
app.add_typer(calls_app, name="calls")
app.add_typer(knowledge_app, name="knowledge")
app.add_typer(deliveries_app, name="deliveries")

_CallName = Annotated[str, typer.Argument(help="Its call_id, or its session_id.")]

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
    exotel: Annotated[
        bool, typer.Option("--exotel", help="Call as Exotel's Voicebot does, by its rules.")
    ] = False,
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
            dialler = Dialler(api, bridge_url.rstrip("/"), console, token, exotel)
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
            if unread := bot.get("unread"):
                keys = escape(", ".join(unread))
                console.print(f"  nothing reads {keys}", highlight=False)

    _run(run())


@bots_app.command(name="list")
def list_bots() -> None:
    """List the bots."""

    async def run() -> None:
        async with _api(FleetSettings()) as api:
            bots = await api.bots()
        rows = table("bot", "name", "version", "changed")
        for bot in bots:
            rows.add_row(bot["bot_id"], bot["name"], str(bot["version"]), moment(bot["updated_at"]))
        console.print(rows)

    _run(run())


@bots_app.command(name="show")
def show_bot(bot_id: str) -> None:
    """Show one bot's config, without its secrets."""

    async def run() -> None:
        async with _api(FleetSettings()) as api:
            print_result(console, await api.bot(bot_id))

    _run(run())


@knowledge_app.command(name="make")
def make_knowledge(name: str) -> None:
    """Make a knowledge base, and print its id for a bot's `knowledge_kb_ids`."""

    async def run() -> None:
        async with _api(FleetSettings()) as api:
            made = await api.make_knowledge_base(name)
        console.print(made["kb_id"], highlight=False)

    _run(run())


@knowledge_app.command(name="list")
def list_knowledge(
    kb_id: Annotated[str | None, typer.Argument(help="The documents of this one.")] = None,
) -> None:
    """List the knowledge bases, or one's documents."""

    async def run() -> None:
        async with _api(FleetSettings()) as api:
            if kb_id is None:
                console.print(bases_table(await api.knowledge_bases()))
            else:
                console.print(documents_table(await api.documents(kb_id)))

    _run(run())


@knowledge_app.command(name="add")
def add_knowledge(
    kb_id: str,
    paths: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Documents.")],
) -> None:
    """Add documents: .txt, .md, .csv, .pdf or .docx."""

    async def run() -> None:
        async with _api(FleetSettings()) as api:
            added = [await api.add_document(kb_id, each.name, each.read_bytes()) for each in paths]
        console.print(documents_table(added))
        if any(each["status"] == "failed" for each in added):
            raise typer.Exit(1)

    _run(run())


@knowledge_app.command(name="search")
def search_knowledge(kb_id: str, query: str) -> None:
    """Show what a bot would find."""

    async def run() -> None:
        async with _api(FleetSettings()) as api:
            print_passages(console, await api.search_knowledge(kb_id, query))

    _run(run())


@calls_app.command(name="list")
def list_calls(
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, newest first.")] = 20,
) -> None:
    """List the newest calls."""

    async def run() -> None:
        async with _api(FleetSettings()) as api:
            calls = await api.calls(limit=limit)
        rows = table("call", "planned", "bot", "seconds", "how it ended")
        for each in calls:
            rows.add_row(
                each["call_id"],
                moment(each["planned_at"]),
                each["bot_id"],
                f"{each['call_duration_seconds']:.1f}",
                each["reason"] or f"({each['state']})",
            )
        console.print(rows)

    _run(run())


@calls_app.command(name="show")
def show_call(call: _CallName) -> None:
    """Show where one call stands."""

    async def run() -> None:
        async with _api(FleetSettings()) as api:
            print_result(console, await api.call(await api.call_id_of(call)))

    _run(run())


@calls_app.command(name="result")
def show_result(call: _CallName) -> None:
    """Show one call's result."""

    async def run() -> None:
        async with _api(FleetSettings()) as api:
            print_result(console, await api.result(await api.call_id_of(call)))

    _run(run())


@deliveries_app.command(name="list")
def list_deliveries(
    state: Annotated[
        list[str] | None, typer.Option(help="pending, delivered, parked or dead; repeatable.")
    ] = None,
    bot: Annotated[str, typer.Option(help="Of this bot.")] = "",
    call_id: Annotated[str, typer.Option("--call", help="Of this call.")] = "",
    destination: Annotated[str, typer.Option(help="To this origin: https://host[:port].")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, newest first.")] = 20,
) -> None:
    """List what was announced to whom, the newest first."""
    asked: dict[str, str | list[str]] = {
        "state": state or [],
        "bot_id": bot,
        "call_id": call_id,
        "destination": destination,
    }

    async def run() -> None:
        async with _api(FleetSettings()) as api:
            query = {name: value for name, value in asked.items() if value}
            console.print(deliveries_table(await api.deliveries(limit=limit, **query)))

    _run(run())


@deliveries_app.command(name="show")
def show_delivery(delivery_id: str) -> None:
    """Show one delivery: every attempt, what was answered, and the body."""

    async def run() -> None:
        async with _api(FleetSettings()) as api:
            print_delivery(console, await api.delivery(delivery_id))

    _run(run())


@deliveries_app.command(name="replay")
def replay_deliveries(
    delivery_ids: Annotated[list[str] | None, typer.Argument(help="Which ones.")] = None,
    state: Annotated[
        list[str] | None, typer.Option(help="Instead: all in this state; repeatable.")
    ] = None,
    bot: Annotated[str, typer.Option(help="Instead: all of this bot that were given up.")] = "",
    destination: Annotated[
        str, typer.Option(help="Instead: all to this origin that were given up.")
    ] = "",
    since: Annotated[str, typer.Option(help="Made at this time or later, with a zone.")] = "",
    until: Annotated[str, typer.Option(help="Made before this time.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All that were given up.")] = False,
) -> None:
    """Deliver again, under the same ids, with the same bodies."""
    asked: dict[str, str | list[str]] = {
        "states": state or [],
        "bot_id": bot,
        "destination": destination,
        "created_from": since,
        "created_before": until,
    }
    wanted = {name: value for name, value in asked.items() if value}
    if bool(delivery_ids) == bool(wanted or everything):
        _fail("Name deliveries, or say which by options (--all: all that were given up).")

    async def run() -> None:
        async with _api(FleetSettings()) as api:
            for delivery_id in delivery_ids or []:
                await api.replay(delivery_id)
            count = len(delivery_ids) if delivery_ids else await api.replay_those(wanted)
        console.print(f"To be delivered again: {count}", highlight=False)

    _run(run())


def _api(settings: FleetSettings) -> SidecarApi:
    url = settings.sidecar_url or f"http://127.0.0.1:{settings.sidecar_port}"
    environ = environ_with(load_or_create(settings.voicefleet_home), os.environ)
    return SidecarApi(url, settings.admin_api_key or environ["ADMIN_API_KEY"])


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
