"""`scripts.index`: the machine's own settings decide, and only the locked bytes are taken."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from scripts.index import Index, IndexFailed, configured_index, fetch_file, parse_links

DATA = b"a wheel"
NAMES = {"uv-1-py3-none-any.whl": hashlib.sha256(DATA).hexdigest()}
PAGE_URL = "https://index.test/simple/uv/"


def found(environ: Mapping[str, str], tmp_path: Path) -> Index | None:
    return configured_index(environ, etc=tmp_path / "etc", prefix=tmp_path / "prefix")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_nothing_configured_is_none(tmp_path: Path) -> None:
    assert found({}, tmp_path) is None
    assert found({"HOME": str(tmp_path), "PIP_INDEX_URL": ""}, tmp_path) is None


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"UV_DEFAULT_INDEX": "https://a.test/simple"}, "https://a.test/simple"),
        ({"UV_DEFAULT_INDEX": "corp=https://a.test/simple"}, "https://a.test/simple"),
        ({"UV_INDEX_URL": "https://b.test/simple?x=1"}, "https://b.test/simple?x=1"),
        ({"PIP_INDEX_URL": "https://c.test/simple"}, "https://c.test/simple"),
        ({"PIP_INDEX_URL": "c", "UV_INDEX_URL": "b", "UV_DEFAULT_INDEX": "a"}, "a"),
        ({"PIP_INDEX_URL": "c", "UV_INDEX_URL": "b"}, "b"),
    ],
)
def test_environment_names_the_index(environ: dict[str, str], url: str, tmp_path: Path) -> None:
    index = found(environ, tmp_path)
    assert index is not None
    assert index.url == url


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("home/.config/uv/uv.toml", 'index-url = "https://i.test/"'),
        ("home/.config/uv/uv.toml", '[pip]\nindex-url = "https://i.test/"'),
        (
            "home/.config/uv/uv.toml",
            '[[index]]\nurl = "https://extra.test"\n'
            '[[index]]\nurl = "https://i.test/"\ndefault = true',
        ),
        ("etc/uv/uv.toml", 'index-url = "https://i.test/"'),
        ("home/.config/pip/pip.conf", "[global]\nindex-url = https://i.test/\n"),
        ("home/.pip/pip.conf", "[install]\nindex-url=https://i.test/\n"),
        ("etc/pip.conf", "[global]\ncert = /x\nindex-url = https://i.test/\n"),
        ("etc/xdg/pip/pip.conf", "[download]\nindex-url = https://i.test/\n"),
        ("prefix/pip.conf", "[global]\nindex-url = https://i.test/\n"),
    ],
)
def test_configuration_file_names_the_index(name: str, text: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, text)
    assert found({"HOME": str(tmp_path / "home")}, tmp_path) == Index("https://i.test/", str(path))


def test_xdg_folder_replaces_the_usual_one(tmp_path: Path) -> None:
    write(tmp_path / "home/.config/uv/uv.toml", 'index-url = "https://wrong.test/"')
    write(tmp_path / "xdg/uv/uv.toml", 'index-url = "https://right.test/"')
    environ = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    index = found(environ, tmp_path)
    assert index is not None
    assert index.url == "https://right.test/"


@pytest.mark.parametrize("name", ["UV_CONFIG_FILE", "PIP_CONFIG_FILE"])
def test_configuration_file_can_be_chosen(name: str, tmp_path: Path) -> None:
    is_uv = name.startswith("UV")
    text = 'index-url = "https://i.test/"' if is_uv else "[global]\nindex-url = https://i.test/"
    path = write(tmp_path / "chosen", text)
    assert found({name: str(path)}, tmp_path) == Index("https://i.test/", str(path))


def test_pip_can_be_told_to_read_no_file(tmp_path: Path) -> None:
    write(tmp_path / "etc/pip.conf", "[global]\nindex-url = https://i.test/")
    assert found({"PIP_CONFIG_FILE": os.devnull}, tmp_path) is None


@pytest.mark.parametrize("text", ["not = [toml", "[global", "[global]\nno-index-here = 1\n"])
def test_file_that_says_nothing_is_passed_over(text: str, tmp_path: Path) -> None:
    write(tmp_path / "etc/pip.conf", text)
    write(tmp_path / "etc/uv/uv.toml", text)
    assert found({}, tmp_path) is None


def test_links_of_an_html_page() -> None:
    page = b"""<!DOCTYPE html><html><body>
    <a href="../../files/uv-1%2Blocal-py3-none-any.whl#sha256=00" data-yanked="">uv</a>
    <a href="https://files.test/uv-2.tar.gz">uv-2</a><a name="top">no link</a></body></html>"""
    assert parse_links(page, "text/html", PAGE_URL) == {
        "uv-1+local-py3-none-any.whl": "https://index.test/files/uv-1%2Blocal-py3-none-any.whl",
        "uv-2.tar.gz": "https://files.test/uv-2.tar.gz",
    }


def test_links_of_a_json_page() -> None:
    page = json.dumps({"files": [{"filename": "uv-1.whl", "url": "/files/uv-1.whl"}]}).encode()
    content_type = "application/vnd.pypi.simple.v1+json"
    assert parse_links(page, content_type, PAGE_URL) == {
        "uv-1.whl": "https://index.test/files/uv-1.whl"
    }


@pytest.fixture
def folder_index(tmp_path: Path) -> Path:
    """An index as a folder: a page per project and the files beside it."""
    (name,) = NAMES
    write(tmp_path / "simple/uv/index.html", f'<a href="../../files/{name}">{name}</a>')
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / name).write_bytes(DATA)
    return tmp_path / "simple"


def test_file_is_fetched_from_a_folder(folder_index: Path, tmp_path: Path) -> None:
    path = fetch_file(Index(folder_index.as_uri(), "test"), "uv", NAMES, tmp_path)
    assert path.read_bytes() == DATA


def test_file_with_another_hash_is_refused(folder_index: Path, tmp_path: Path) -> None:
    (folder_index.parent / "files" / next(iter(NAMES))).write_bytes(b"something else")
    with pytest.raises(IndexFailed, match=r"not the file whose hash is in uv\.lock: refused"):
        fetch_file(Index(folder_index.as_uri(), "test"), "uv", NAMES, tmp_path)


def test_file_the_index_does_not_have_is_named(folder_index: Path, tmp_path: Path) -> None:
    with pytest.raises(IndexFailed, match=r"it has no other\.whl"):
        fetch_file(Index(folder_index.as_uri(), "test"), "uv", {"other.whl": "00"}, tmp_path)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/simple", "file:///nowhere", "no address"])
def test_index_that_does_not_answer_is_explained(url: str, tmp_path: Path) -> None:
    with pytest.raises(IndexFailed):
        fetch_file(Index(url, "test"), "uv", NAMES, tmp_path)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder to whoever shows the password."""

    seen: list[str | None]

    def do_GET(self) -> None:
        self.seen.append(self.headers["Authorization"])
        if self.headers["Authorization"] != "Basic bWU6cEBzcw==":
            self.send_error(401)
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def locked_server(folder_index: Path) -> Iterator[int]:
    Handler.seen = []
    handler = partial(Handler, directory=str(folder_index.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_credentials_of_the_address_are_shown(locked_server: int, tmp_path: Path) -> None:
    index = Index(f"http://me:p%40ss@127.0.0.1:{locked_server}/simple", "test")
    assert fetch_file(index, "uv", NAMES, tmp_path).read_bytes() == DATA
    assert len(Handler.seen) == 2


def test_missing_credentials_are_explained(locked_server: int, tmp_path: Path) -> None:
    with pytest.raises(IndexFailed, match="401"):
        fetch_file(Index(f"http://127.0.0.1:{locked_server}/simple", "test"), "uv", NAMES, tmp_path)
