"""The application: one constructor that joins collaborators, routes and background tasks."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from contracts.ids import call_id_from
from sidecar.access import Access
from sidecar.aftercall import Aftercall
from sidecar.api import (
    assistant_numbers,
    attach,
    bots,
    call_results,
    cdr,
    command,
    config,
    deliveries,
    endpoints,
    erasures,
    errors,
    event_stream,
    health,
    internal,
    keys,
    latency,
    livekit,
    pages,
    recordings,
    tasks,
    trunks,
    vendor_keys,
    web_call,
    widget,
)
from sidecar.api import calls as calls_api
from sidecar.api import exotel as exotel_api
from sidecar.api import knowledge as knowledge_api
from sidecar.api import numbers as numbers_api
from sidecar.api import sip as sip_api
from sidecar.archive import Archive
from sidecar.arrival import Arrivals
from sidecar.calls import Calls
from sidecar.clock import Clock, utc_now
from sidecar.configure import ConfigApi, ConfigSource, OwnBots
from sidecar.courier import Courier, Trust
from sidecar.credential import Credentials
from sidecar.crm import Crm
from sidecar.departure import Departures
from sidecar.dialled import NumberApi, NumberSource, OwnNumbers
from sidecar.egress import EgressGuard, keep_no_cookies
from sidecar.erasure import Erasures
from sidecar.exotel import Exotel
from sidecar.fleet import Fleet
from sidecar.hearing import Hearing
from sidecar.inbound import Inbound
from sidecar.keeper import Keeper
from sidecar.keyring import Keyring
from sidecar.knowledge import Knowledge
from sidecar.line_command import LineCommands
from sidecar.livekit_sip import LiveKitSip
from sidecar.loss import Losses
from sidecar.managed import ManagedPlacer
from sidecar.metrics import Metrics
from sidecar.number_book import NumberBook
from sidecar.outbound import Outbound
from sidecar.outbox import Outbox
from sidecar.planning import Planner
from sidecar.prefetch import RINGING, Prefetch
from sidecar.preparation import Preparation
from sidecar.pulse import Pulse
from sidecar.reconcile import Reconciler
from sidecar.recording import RecordingFolder
from sidecar.rooms import Rooms
from sidecar.schedule import JITTER, Schedule
from sidecar.settings import Settings
from sidecar.signing import SigningSecrets
from sidecar.sip_objects import Limits
from sidecar.sip_sync import SipSync
from sidecar.standby import Standbys
from sidecar.storage import Bucket
from sidecar.store.database import Database
from sidecar.supervise import Turn, running
from sidecar.transfer import Transfers
from sidecar.trunk_book import TrunkBook
from sidecar.trunk_check import TrunkCheck
from sidecar.vault import Vault
from sidecar.vetting import VettedConfigs, Vetting
from sidecar.wake import Bells
from sidecar.watch import Watch
from sidecar.web_call import WebCalls
from sidecar.webhook import WebhookReader
from sidecar.widget import WidgetDoor

OUTBOX_WORKERS = 32
"""Attempts at once. Those without one rest, so that many receivers may hang at no cost."""


TRANSFER_CLOSE_S = 5.0
"""How long a sidecar that ends waits for transfers that are under way."""


def new_id() -> str:
    """Return a fresh call id."""
    return call_id_from(os.urandom(16))


def new_trunk_id() -> str:
    """Return a fresh trunk id, in the style of LiveKit's."""
    return f"ST_{os.urandom(6).hex()}"


def create_app(
    settings: Settings,
    *,
    database: Database,
    rooms: Rooms,
    sip: LiveKitSip,
    http: httpx.AsyncClient,
    bucket: Bucket | None = None,
    clock: Clock = utc_now,
) -> Starlette:
    """Return the application. Whoever made the collaborators closes them after it.

    Args:
        settings: what the operator set.
        database: where every fact is kept; migrated at start.
        rooms: LiveKit, or a stand-in.
        sip: its SIP service, or a stand-in.
        http: what results and config requests are sent with; it must not follow redirects.
        bucket: where recordings are kept; None: in the folder.
        clock: where the time comes from.

    Its `state.part` lets requests that are held open come to their end, so that a server can stop.
    """
    keep_no_cookies(http)
    bells = Bells()
    folder = RecordingFolder(settings.recordings_path, settings.public_url)
    archive = Archive(database, folder, bucket, clock=clock, bells=bells)
    own_bots = OwnBots(database)
    source = _config_source(settings, own_bots, http)
    vault = Vault(settings.secrets_dir)
    trusted = [*settings.trusted_api_origins, settings.config_url]
    keyring = Keyring(database, vault, trusted=trusted)
    vetting = Vetting(EgressGuard(allow_private=settings.allow_private_vendors), keyring)
    access = Access(
        database,
        service_secret=settings.voxcore_secret,
        admin_key=settings.admin_api_key,
        clock=clock,
    )
    metrics = Metrics(database, clock)
    waiting = Standbys(database, clock=clock, bells=bells, keyring=keyring)
    crm = Crm(http, EgressGuard(allow_private=settings.allow_private_webhooks))
    prefetch = Prefetch(database, crm, clock=clock, bells=bells, keyring=keyring)
    calls = Calls(
        database,
        folder,
        settings,
        clock=clock,
        bells=bells,
        prefetch=prefetch,
        metrics=metrics,
        keyring=keyring,
    )
    book = NumberBook(
        database,
        clock,
        country=settings.default_country,
        knows_bots=not settings.config_url,
        changed=bells.trunks,
    )
    trunk_check = TrunkCheck(EgressGuard(allow_private=settings.allow_private_trunks), vault)
    trunk_book = TrunkBook(database, trunk_check, clock, new_trunk_id, bells.trunks)
    preparation = Preparation(
        database,
        rooms,
        folder,
        settings,
        clock=clock,
        bells=bells,
        standbys=waiting,
        prefetch=prefetch,
        metrics=metrics,
        use_cases=calls,
        keyring=keyring,
    )
    planner = Planner(
        database,
        VettedConfigs(source, vetting),
        _number_source(settings, database, http),
        preparation,
        rooms,
        settings,
        clock=clock,
        new_id=new_id,
    )
    placer = ManagedPlacer(
        database,
        calls,
        sip,
        rooms,
        max_call_s=settings.max_room_s,
        clock=clock,
        trunks_changed=bells.trunks,
    )
    outbound = Outbound(
        database,
        access,
        planner,
        VettedConfigs(source, vetting),
        vetting,
        vault,
        calls,
        placer,
        rooms,
        settings,
        http,
        clock=clock,
        bells=bells,
        new_id=new_id,
    )
    losses = Losses(database, rooms, settings, clock=clock, bells=bells, metrics=metrics)
    hearing = Hearing()
    pulse = Pulse(database, rooms, losses, settings, hearing, clock=clock, bells=bells)
    keeper = Keeper(database, rooms, settings, clock=clock, new_id=new_id, bells=bells)
    fleet = Fleet(database, settings.max_concurrent_calls, clock=clock, closing=bells.closing)
    aftercall = Aftercall(database, folder, clock=clock, bells=bells, keyring=keyring)
    watch = Watch(
        database,
        calls,
        losses,
        aftercall,
        rooms,
        settings,
        hearing,
        clock=clock,
        changed=bells.timers,
    )
    reconciler = Reconciler(database, calls, rooms, watch, clock=clock, closing=bells.closing)
    courier = Courier(
        http,
        EgressGuard(allow_private=settings.allow_private_webhooks),
        SigningSecrets(database, settings.result_signing_secret, vault),
        Credentials(database, lambda url: outbound.config_urls.at(url).unvetted, keyring),
        Trust(settings.voxcore_secret, settings.trusted_api_origins),
        timeout_s=settings.webhook_timeout_s,
    )
    outbox = Outbox(
        database,
        courier,
        Schedule(settings.webhook_delays_s, random.random),
        settings.webhook_per_destination,
        clock=clock,
        bells=bells,
        metrics=metrics,
    )
    erasing = Erasures(
        database,
        archive,
        retention_days=settings.retention_days,
        promise=timedelta(seconds=(1 + JITTER) * sum(settings.webhook_delays_s)),
        clock=clock,
        closing=bells.closing,
    )
    sync = SipSync(
        database,
        sip,
        owner=settings.managed_sip_owner,
        limits=Limits(settings.managed_sip_ringing_s, settings.max_room_s),
        vault=vault,
        clock=clock,
        holder=new_id(),
        bell=bells.trunks,
    )
    transfers = Transfers(database, calls, sip, clock=clock, bells=bells)
    commands = LineCommands(database, calls, rooms, transfers, clock=clock)
    exotel = Exotel(
        database,
        source,
        folder,
        settings,
        clock=clock,
        bells=bells,
        chance=random.random,
    )
    inbound = Inbound(database, planner, calls, rooms, new_id=new_id)
    web_calls = WebCalls(database, planner, calls, rooms, settings, bells=bells, new_id=new_id)
    door = WidgetDoor(
        source,
        per_address=settings.widget_starts_per_minute,
        per_bot=settings.widget_bot_starts_per_minute,
        clock=clock,
    )
    turns: dict[str, Turn] = {
        "erase": erasing.turn,
        "fleet": fleet.turn,
        "keep": keeper.turn,
        "listen": lambda: database.listen(
            bells.events.ring,
            bells.closing,
            ring_standbys=bells.standbys.ring,
            ring_dials=bells.dials.ring,
        ),
        "watch": watch.turn,
        "reconcile": reconciler.turn,
        **outbound.turns(),
        **({"sip_sync": sync.turn} if settings.managed_sip else {}),
        **{f"outbox-{number}": outbox.turn for number in range(OUTBOX_WORKERS)},
    }

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await database.migrate()
        folder.tidy()
        await watch.start()
        await fleet.refresh()
        async with running(turns, bells):
            yield
        await outbound.aclose()
        await planner.aclose()
        await transfers.aclose(TRANSFER_CLOSE_S)
        await exotel.aclose(TRANSFER_CLOSE_S)
        await prefetch.aclose(RINGING.total_seconds())

    routes: list[BaseRoute] = [
        *health.routes(fleet),
        *internal.routes(access, planner, calls, pulse, waiting, inbound),
        *command.routes(access, commands),
        *bots.routes(access, database, vetting, clock),
        *numbers_api.routes(access, database, book),
        *trunks.routes(access, trunk_book),
        *assistant_numbers.routes(access, database, book, trunk_book),
        *config.routes(access, own_bots, crm, keyring, clock, new_id),
        *calls_api.routes(access, database),
        *call_results.routes(access, database, clock, folder.token),
        *cdr.routes(access, database, clock),
        *exotel_api.routes(exotel),
        *erasures.routes(access, erasing),
        *deliveries.routes(access, database, clock, bells.deliveries),
        *endpoints.routes(access, database),
        *event_stream.routes(access, database, bells.events),
        *latency.routes(access, database, metrics),
        *livekit.routes(
            access,
            WebhookReader(settings.livekit_api_key, settings.livekit_api_secret),
            losses,
            Departures(database, calls, losses, clock),
            Arrivals(database, calls, clock),
            inbound,
        ),
        *attach.routes(access, inbound, outbound.config_urls),
        *web_call.routes(access, web_calls),
        *widget.routes(access, door, web_calls),
        *pages.routes(settings.web_dir, settings.browser_url),
        *sip_api.routes(access, database, book, outbound.dialout.way),
        *keys.routes(access, database, clock, new_id),
        *vendor_keys.routes(access, database, vault, clock),
        *knowledge_api.routes(access, Knowledge(database, clock)),
        *recordings.routes(access, database, folder, bucket, archive),
        *tasks.routes(access, aftercall),
        *outbound.routes(),
    ]
    app = Starlette(routes=routes, exception_handlers=errors.EXCEPTION_HANDLERS, lifespan=lifespan)
    app.state.part = bells.part
    return app


def _config_source(settings: Settings, own_bots: OwnBots, http: httpx.AsyncClient) -> ConfigSource:
    if not settings.config_url:
        return own_bots
    return ConfigApi(http, settings.config_url, settings.voxcore_secret, settings.config_timeout_s)


def _number_source(settings: Settings, database: Database, http: httpx.AsyncClient) -> NumberSource:
    if not settings.config_url:
        return OwnNumbers(database, settings.default_country)
    return NumberApi(http, settings.config_url, settings.voxcore_secret, settings.config_timeout_s)
