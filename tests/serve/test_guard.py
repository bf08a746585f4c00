from __future__ import annotations

import asyncio

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import make_mocked_request

from splatalk.serve.guard import Guard, is_loopback
from splatalk.serve.run import Server
from splatalk.serve.site import Content, application

PORT = 8123


def guard(host: str = "127.0.0.1") -> Guard:
    made = Guard(host)
    made.port = PORT
    return made


def refused(headers: dict[str, str], path: str = "/", made: Guard | None = None) -> bool:
    return (made or guard()).refusal(make_mocked_request("GET", path, headers=headers)) is not None


@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"[::1]:{PORT}"])
def test_own_names_pass(host):
    assert not refused({"Host": host})
    assert not refused({"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"})


@pytest.mark.parametrize(
    "host",
    ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", f"127.0.0.1.evil.example:{PORT}", "",
     f"localhost.evil.example:{PORT}", f"192.168.0.7:{PORT}", f"[::1]:{PORT}:{PORT}", "::1", f"@localhost:{PORT}"],
)  # fmt: skip
def test_foreign_names_are_refused(host):
    assert refused({"Host": host})


@pytest.mark.parametrize("origin", ["null", "http://evil.example", f"https://127.0.0.1:{PORT}", "http://127.0.0.1:1"])
def test_pages_of_other_origins_are_refused(origin):
    assert refused({"Host": f"127.0.0.1:{PORT}", "Origin": origin}, "/live")


def test_other_sites_may_link_to_the_page_and_nothing_else():
    link = {"Host": f"127.0.0.1:{PORT}", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert not refused(link)
    assert refused(link, "/avatar.compact")
    assert refused(link | {"Sec-Fetch-Mode": "no-cors"})


def test_other_machines_need_the_token():
    made = guard("0.0.0.0")
    assert made.token and len(made.token) >= 30
    assert made.url.endswith(f"/?token={made.token}")
    host = {"Host": f"192.168.0.7:{PORT}"}
    assert refused(host, made=made)
    assert refused(host, "/?token=wrong", made=made)
    assert refused(host, "/?token=%C3%A9", made=made)
    assert not refused(host, f"/?token={made.token}", made=made)
    assert not refused(host | {"Cookie": f"{made.cookie}={made.token}"}, "/live", made=made)


def test_two_servers_have_two_tokens():
    assert guard("0.0.0.0").token != guard("0.0.0.0").token
    assert guard().token is None


@pytest.mark.parametrize(("host", "local"), [("127.0.0.1", True), ("::1", True), ("localhost", True),
                                             ("0.0.0.0", False), ("::", False), ("example.org", False)])  # fmt: skip
def test_loopback(host, local):
    assert is_loopback(host) == local


def answers(made: Guard, *requests: tuple[str, dict]) -> list:
    """Status, headers and body of GETs to a real server."""

    async def ask(url: str) -> list:
        got = []
        async with ClientSession() as session:
            for path, headers in requests:
                async with session.get(url + path, headers=headers, allow_redirects=False) as response:
                    got.append((response.status, dict(response.headers), await response.text()))
        return got

    server = Server(made, application(made, {"/": Content(b"<p>page", "text/html")}))
    with server.beside():
        return asyncio.run(ask(f"http://127.0.0.1:{made.port}"))


def test_every_answer_is_strict():
    page, missing, foreign, climbing = answers(
        Guard("127.0.0.1"), ("/", {}), ("/etc/passwd", {}), ("/", {"Host": "evil.example"}), ("/../../etc/passwd", {})
    )
    assert (page[0], page[2]) == (200, "<p>page")
    policy = page[1]["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert page[1]["Cross-Origin-Opener-Policy"] == page[1]["Cross-Origin-Resource-Policy"] == "same-origin"
    assert [r[0] for r in (missing, foreign, climbing)] == [404, 403, 404]
    for _, headers, _ in (page, missing, foreign, climbing):
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


def test_the_token_moves_from_the_address_into_a_cookie():
    made = Guard("0.0.0.0")
    nothing, arrived = answers(made, ("/", {}), (f"/?token={made.token}", {}))
    assert nothing[0] == 403
    assert arrived[0] == 303
    assert arrived[1]["Location"] == "/"
    assert "HttpOnly" in arrived[1]["Set-Cookie"]
    assert "SameSite=Strict" in arrived[1]["Set-Cookie"]
