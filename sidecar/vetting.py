"""Whether a bot's vendors can serve a call: asked at each save and before a call is taken."""

from __future__ import annotations

from contracts.bot import BotConfig
from contracts.vendor import Complaint, complaints
from sidecar.configure import ConfigQuery, ConfigSource
from sidecar.denial import Code, Denied
from sidecar.egress import EgressGuard, EgressRefused


class Vetting:
    """Judges configs: vendors known, keys there, options sound, addresses allowed."""

    def __init__(self, guard: EgressGuard) -> None:
        """
        Args:
            guard: which addresses a bot's vendor may be at. A name is resolved here and again by
                the agent that connects, so against an owner of names who answers each differently
                only the agents' own network can help.
        """
        self._guard = guard

    async def require(self, config: BotConfig) -> None:
        """Let a config through.

        Raises:
            Denied: a call could not be served; the details name each field.
        """
        found = [*complaints(config), *await self._of_addresses(config)]
        if found:
            raise Denied(
                Code.CONFIG_INVALID,
                "the bot's vendors cannot be used",
                details={"errors": [_shown(each) for each in found]},
            )

    async def _of_addresses(self, config: BotConfig) -> list[Complaint]:
        found: list[Complaint] = []
        for kind, part in (("stt", config.stt), ("llm", config.llm), ("tts", config.tts)):
            if not part.base_url:
                continue
            try:
                await self._guard.check(part.base_url)
            except EgressRefused as error:
                found.append(Complaint(f"{kind}.base_url", str(error)))
        return found


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
        await self._vetting.require(config)
        return config


def _shown(complaint: Complaint) -> dict[str, object]:
    """Return a complaint in the form of a model's errors."""
    return {"type": "vendor", "loc": complaint.field.split("."), "msg": complaint.message}
