"""Whether a bot's vendors can serve a call: asked at each save and before a call is taken."""

from __future__ import annotations

import asyncio

from contracts import template
from contracts.bot import BotConfig
from contracts.vendor.choice import chosen, complaints, unprompted
from contracts.vendor.option import Complaint
from sidecar.configure import ConfigQuery, ConfigSource
from sidecar.denial import Code, Denied
from sidecar.egress import EgressGuard, EgressRefused
from sidecar.fault import fault
from sidecar.keyring import Keyring


class Vetting:
    """Judges configs: vendors known, keys there, options sound, addresses allowed."""

    def __init__(self, guard: EgressGuard, keyring: Keyring) -> None:
        """
        Args:
            guard: which addresses a bot's vendor may be at. A name is resolved here and again by
                the agent that connects, so against an owner of names who answers each differently
                only the agents' own network can help.
            keyring: what completes configs for their calls.
        """
        self._guard = guard
        self._keyring = keyring

    async def require(
        self, tenant_id: str, config: BotConfig, config_url: str = "", *, with_tools: bool = False
    ) -> BotConfig:
        """Let a config through; return it as calls will have it: with secrets, not to be kept.

        Args:
            tenant_id: whose it is.
            config: the config, its secrets perhaps only named.
            config_url: the control plane that made it; "": our own.
            with_tools: look up its tools' hosts too, as when it is saved. On a call the agent does,
                each time that one is used.

        Raises:
            Denied: a call could not be served; the details name each field.
        """
        kept = config.model_dump(mode="json")
        await self._keyring.load(tenant_id, kept)
        completed = self._keyring.completed(tenant_id, kept, config_url)
        missing = {each.field for each in completed.missing}
        unfit = [each for each in complaints(completed.config) if each.field not in missing]
        unfit += unprompted(config)
        found = [*completed.missing, *unfit, *await self._of_addresses(config, with_tools)]
        if found:
            raise Denied(
                Code.CONFIG_INVALID,
                "the bot's vendors or secrets cannot be used",
                details={"errors": [fault(each.field, each.message, "vendor") for each in found]},
            )
        return completed.config

    async def _of_addresses(self, config: BotConfig, with_tools: bool) -> list[Complaint]:
        named = [(f"{path}.base_url", part.base_url) for path, part in chosen(config)]
        if with_tools:
            named += _of_tools(config)
        found = await asyncio.gather(*(self._of_address(*each) for each in named if each[1]))
        return [each for each in found if each is not None]

    async def _of_address(self, field: str, url: str) -> Complaint | None:
        try:
            await self._guard.check(url)
        except EgressRefused as error:
            return Complaint(field, str(error))
        return None


def _of_tools(config: BotConfig) -> list[tuple[str, str]]:
    named = [(f"tools.{number}.url", each.url) for number, each in enumerate(config.tools)]
    named += [(f"mcp_servers.{at}.url", each.url) for at, each in enumerate(config.mcp_servers)]
    # Only paths and queries are templates, and what they say does not matter here.
    return [(field, template.without_tokens(url, "x")) for field, url in named]


class VettedConfigs:
    """A source of configs whose vendors can be used."""

    def __init__(self, source: ConfigSource, vetting: Vetting) -> None:
        self._source = source
        self._vetting = vetting

    @property
    def is_per_call(self) -> bool:
        return self._source.is_per_call

    @property
    def url(self) -> str:
        return self._source.url

    @property
    def results_url(self) -> str:
        return self._source.results_url

    async def fetch(self, query: ConfigQuery) -> BotConfig:
        config = await self._source.fetch(query)
        await self._vetting.require(query.tenant_id, config, self._source.url)
        return config
