"""Who: the value of From, To, Contact, Route and the like, a URI with a name and parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bridges.wire.sip import grammar
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.grammar import Params
from bridges.wire.sip.uri import Uri


@dataclass(frozen=True, slots=True)
class Address:
    """A `name-addr` or `addr-spec` with the parameters after it (RFC 3261 section 20.10).

    Attributes:
        uri: where it points to.
        display_name: what a phone shows, unquoted; any text.
        params: the header field's own, such as `tag`; not the URI's.
    """

    uri: Uri
    display_name: str = ""
    params: Params = ()

    @classmethod
    def parse(cls, text: str, what: str = "address") -> Address:
        """Read the one address that `text` holds.

        Raises:
            ProtocolError: it holds none, or more.
        """
        text = text.strip(" ")
        name, bracket, rest = _before_bracket(text, what)
        if bracket:
            spec, closing, params = rest.partition(">")
            if not closing:
                raise ProtocolError(f"{what}: expected a closing bracket")
            return cls(
                Uri.parse(spec.strip(" ")),
                _display_name(name, what),
                grammar.parse_params(params, what),
            )
        # Without brackets, what follows a semicolon is the header field's (section 20), and a
        # comma or question mark would be ambiguous.
        spec, semicolon, params = text.partition(";")
        if "," in spec or "?" in spec:
            raise ProtocolError(f"{what}: expected brackets around such a URI")
        return cls(Uri.parse(spec.strip(" ")), "", grammar.parse_params(semicolon + params, what))

    @property
    def tag(self) -> str:
        """The `tag` parameter, `""` if there is none."""
        return grammar.param(self.params, "tag") or ""

    def param(self, name: str) -> str | None:
        """Return the parameter's value, `""` if it has none, None if it is not there."""
        return grammar.param(self.params, name)

    def with_param(self, name: str, value: str | None) -> Address:
        """Return the address with this parameter set."""
        return replace(self, params=grammar.with_param(self.params, name, value))

    def serialize(self) -> str:
        """Return the address as it is written, always with brackets."""
        name = f"{grammar.quote(self.display_name)} " if self.display_name else ""
        return f"{name}<{self.uri.serialize()}>{grammar.format_params(self.params)}"


def _before_bracket(text: str, what: str) -> tuple[str, str, str]:
    """Split at the first `<` that is in no quoted string."""
    if not text.startswith('"'):
        return text.partition("<")
    name, *_ = grammar.split_outside(text, "<", brackets=False)
    if len(name) == len(text):
        raise ProtocolError(f"{what}: expected a bracket after the name")
    return name, "<", text[len(name) + 1 :]


def _display_name(text: str, what: str) -> str:
    """Return the name without its quotes.

    Unquoted ones should be tokens, but carriers put any number or text there (RFC 4475 section
    3.1.2.14 leaves it to us); what would make it another field is refused.
    """
    text = text.strip(" ")
    if text.startswith('"'):
        unquoted = grammar.unquote(text)
        if unquoted == text:
            raise ProtocolError(f"{what}: expected nothing between the name and its bracket")
        return unquoted
    if any(character in text for character in '",;>') or any(c < " " or c == "\x7f" for c in text):
        raise ProtocolError(f"{what}: expected quotes around such a name")
    return text
