"""Who may talk to the server, and what its answers allow a browser to do.

Any page on the web can make a browser send requests to this machine. So a request must name this server as its host (a
foreign name that was made to resolve here, DNS rebinding, does not) and must not come from a page of another origin.
When the server listens for other machines, it asks for a random token as well.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

_PORT_OF_HTTP = 80


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """The rules of one server.

    Args:
        host: where it listens. Anything but the loopback address needs the token.
        port: where it listens; set when it is known.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self.port = 0
        self.token = None if is_loopback(host) else secrets.token_urlsafe(24)

    @property
    def cookie(self) -> str:
        """Cookies do not tell ports apart, so their name does."""
        return f"splatalk-{self.port}"

    @property
    def url(self) -> str:
        """What to open in a browser."""
        shown = "127.0.0.1" if self.host in ("0.0.0.0", "") else "[::1]" if self.host == "::" else self.host
        shown = f"[{shown}]" if ":" in shown and not shown.startswith("[") else shown
        return f"http://{shown}:{self.port}/" + (f"?token={self.token}" if self.token else "")

    def refusal(self, request: web.Request) -> str | None:
        """Why a request is refused; None when it may pass."""
        host = request.headers.get("Host", "")
        if self.token is None and not self._is_own_name(host):
            return "This server answers to its own address only."
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"http://{host}":
            return "Pages of other origins may not use this server."
        fetched_for = request.headers.get("Sec-Fetch-Site", "none")
        opened = request.headers.get("Sec-Fetch-Mode") == "navigate" and request.path == "/"
        if fetched_for not in ("none", "same-origin") and not opened:
            return "Pages of other origins may not use this server."
        if self.token is not None and not self._knows_token(request):
            return "This address is not complete: open the one that splatalk printed, with its token."
        return None

    def _is_own_name(self, host: str) -> bool:
        name, separator, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
        if not separator:
            name, port = host, str(_PORT_OF_HTTP)
        return port == str(self.port) and is_loopback(name)

    def _knows_token(self, request: web.Request) -> bool:
        assert self.token is not None
        given = request.cookies.get(self.cookie) or request.query.get("token", "")
        return hmac.compare_digest(given.encode(), self.token.encode())

    def headers(self, request: web.Request) -> dict[str, str]:
        """What every answer says."""
        host = request.headers.get("Host", "")
        return {
            "Content-Security-Policy": (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
                f"media-src 'self' blob:; connect-src 'self' ws://{host}; worker-src 'self'; "
                "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
        }

    def middleware(self) -> Middleware:
        """Refuses what may not pass, and sets the headers of what does."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            reason = self.refusal(request)
            if reason is not None:
                return web.Response(status=403, text=reason + "\n", headers=self.headers_of_refusal())
            if self.token is not None and request.path == "/" and "token" in request.query:
                return self._remembering(web.Response(status=303, headers={"Location": "/"}))
            try:
                response = await handler(request)
            except web.HTTPException as error:
                error.headers.update(self.headers_of_refusal())
                raise
            if not response.prepared:
                response.headers.update(self.headers(request))
            return response

        return guard

    def headers_of_refusal(self) -> dict[str, str]:
        """Nothing that a request said is repeated here."""
        return {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "X-Frame-Options": "DENY"}

    def _remembering(self, response: web.Response) -> web.Response:
        """The token moves from the address, where others may read it, into a cookie."""
        assert self.token is not None
        response.set_cookie(self.cookie, self.token, httponly=True, samesite="Strict", path="/")
        response.headers.update(self.headers_of_refusal())
        return response
