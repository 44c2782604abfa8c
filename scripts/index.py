"""Which package index this machine is set up for, and fetching one file of known hash from it.

Reads what uv and pip themselves would read. Nothing here knows the address of any index: a machine
without a configured one is served by `scripts.uv` through pip, which brings its own default.
"""

from __future__ import annotations

import base64
import configparser
import hashlib
import json
import os
import ssl
import sys
import tomllib
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

_ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Index:
    """An index's base address, and which setting named it."""

    url: str
    setting: str


class IndexFailed(Exception):
    """The index did not give the file; the message says why."""


def configured_index(
    environ: Mapping[str, str], etc: Path = Path("/etc"), prefix: Path = Path(sys.prefix)
) -> Index | None:
    """Return the index that uv's or else pip's settings name, environment before files."""
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        if environ.get(name):
            return Index(_named_url(environ[name]), name)
    for path in _uv_files(environ, etc):
        url = _uv_file_index(path)
        if url:
            return Index(url, str(path))
    if environ.get("PIP_INDEX_URL"):
        return Index(environ["PIP_INDEX_URL"], "PIP_INDEX_URL")
    for path in _pip_files(environ, etc, prefix):
        url = _pip_file_index(path)
        if url:
            return Index(url, str(path))
    return None


def _named_url(value: str) -> str:
    """`name=https://…` is uv's way to name an index."""
    name, equals, url = value.partition("=")
    return url if equals and name.isidentifier() else value


def _config_home(environ: Mapping[str, str]) -> Iterator[Path]:
    if environ.get("XDG_CONFIG_HOME"):
        yield Path(environ["XDG_CONFIG_HOME"])
    elif environ.get("HOME"):
        yield Path(environ["HOME"], ".config")


def _uv_files(environ: Mapping[str, str], etc: Path) -> Iterator[Path]:
    if environ.get("UV_CONFIG_FILE"):
        yield Path(environ["UV_CONFIG_FILE"])
        return
    for folder in _config_home(environ):
        yield folder / "uv" / "uv.toml"
    yield etc / "uv" / "uv.toml"


def _uv_file_index(path: Path) -> str:
    try:
        settings = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError):
        return ""
    for index in settings.get("index", []):
        if index.get("default"):
            return str(index.get("url", ""))
    return str(settings.get("index-url") or settings.get("pip", {}).get("index-url") or "")


def _pip_files(environ: Mapping[str, str], etc: Path, prefix: Path) -> Iterator[Path]:
    chosen = environ.get("PIP_CONFIG_FILE")
    if chosen:
        yield Path(chosen)
        if chosen == os.devnull:
            return
    yield prefix / "pip.conf"
    for folder in _config_home(environ):
        yield folder / "pip" / "pip.conf"
    if environ.get("HOME"):
        yield Path(environ["HOME"], ".pip", "pip.conf")
    yield etc / "xdg" / "pip" / "pip.conf"
    yield etc / "pip.conf"


def _pip_file_index(path: Path) -> str:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text())
    except (OSError, configparser.Error):
        return ""
    for section in ("install", "download", "global"):
        url = parser.get(section, "index-url", fallback="")
        if url:
            return url.strip()
    return ""


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attrs if tag == "a" and name == "href" and value]


def parse_links(page: bytes, content_type: str, page_url: str) -> dict[str, str]:
    """Return file name → address for every file of a project's page, in either simple-API form."""
    if content_type.partition(";")[0].strip().endswith("json"):
        links = [file["url"] for file in json.loads(page)["files"]]
    else:
        anchors = _Anchors()
        anchors.feed(page.decode(errors="replace"))
        links = anchors.links
    files = {}
    for link in links:
        url = urllib.parse.urldefrag(urllib.parse.urljoin(page_url, link)).url
        name = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rpartition("/")[2])
        files[name] = url
    return files


def fetch_file(index: Index, project: str, names: Mapping[str, str], folder: Path) -> Path:
    """Fetch one of a project's files and return where it lies.

    Args:
        index: where to ask.
        project: the project's normalised name.
        names: acceptable file name → its SHA-256, in order of preference.
        folder: where to put it.

    Raises:
        IndexFailed: the index has none of these files, or gives other bytes.
    """
    page_url = f"{index.url.rstrip('/')}/{project}/"
    try:
        page, content_type = _get(page_url, index)
        files = parse_links(page, content_type, page_url)
        name = next((name for name in names if name in files), None)
        if name is None:
            raise IndexFailed(f"it has no {' or '.join(names)}")
        data, _ = _get(files[name], index)
    except (OSError, ValueError, KeyError) as error:
        raise IndexFailed(str(error)) from error
    verify(name, data, names[name])
    path = folder / name
    path.write_bytes(data)
    return path


def verify(name: str, data: bytes, sha256: str) -> None:
    """Raise IndexFailed unless `data` has the locked hash."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise IndexFailed(f"{name} is not the file whose hash is in uv.lock: refused")


def _get(url: str, index: Index) -> tuple[bytes, str]:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "file" and parts.path.endswith("/"):
        url = urllib.parse.urlunsplit(parts._replace(path=f"{parts.path}index.html"))
    credentials = urllib.parse.urlsplit(index.url)
    request = urllib.request.Request(_without_credentials(url), headers={"Accept": _ACCEPT})
    if credentials.username and parts.hostname == credentials.hostname:
        pair = ":".join(
            map(urllib.parse.unquote, (credentials.username, credentials.password or ""))
        )
        token = base64.b64encode(pair.encode()).decode()
        # Unredirected: a redirect to another host must not see it.
        request.add_unredirected_header("Authorization", f"Basic {token}")
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=_tls()) as response:
        return response.read(), response.headers.get_content_type()


def _without_credentials(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _tls() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=os.environ.get("PIP_CERT") or None)
