"""A request's body, within bounds of size, of time, and of what all requests hold together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from azmail.once import FullError


class BodyTooLargeError(Exception):
    """The body is longer than allowed."""


class BodyTooSlowError(Exception):
    """The body did not come in time."""


class Bodies:
    """Reads bodies of at most `most_bytes` each and `most_held` together, each within `seconds`."""

    def __init__(self, *, most_bytes: int, most_held: int, seconds: float) -> None:
        self.most_bytes = most_bytes
        self.seconds = seconds
        self._most_held = max(most_held, most_bytes)
        self._held = 0

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The whole body; it counts as held until the block is left.

        Raises BodyTooLargeError, BodyTooSlowError, FullError, and starlette's ClientDisconnect.
        """
        taken = 0
        try:
            chunks: list[bytes] = []
            async with _deadline(self.seconds):
                async for chunk in self._chunks(request):
                    if self._held + len(chunk) > self._most_held:
                        raise FullError
                    self._held += len(chunk)
                    taken += len(chunk)
                    chunks.append(chunk)
            body = b"".join(chunks)
            chunks.clear()
            yield body
        finally:
            self._held -= taken

    async def _chunks(self, request: Request) -> AsyncIterator[bytes]:
        """Raises BodyTooLargeError."""
        announced = request.headers.get("Content-Length", "")
        if announced.isdigit() and int(announced) > self.most_bytes:
            raise BodyTooLargeError
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > self.most_bytes:
                raise BodyTooLargeError
            yield chunk


@asynccontextmanager
async def _deadline(seconds: float) -> AsyncIterator[None]:
    """Raises BodyTooSlowError."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise BodyTooSlowError from None
