"""The mails of the embedded default as its page has them: what the agents send, and what comes to them from outside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import requests

from commands.errors import EmulatorsEndedError

ANSWER_SECONDS = 10
SILENT_SECONDS = 60
"""The stream says every 15 seconds that it is still there."""

Letter = dict[str, Any]


class LetterBox:
    """Reads the page at `url`. Every method raises EmulatorsEndedError where nobody answers any more."""

    def __init__(self, url: str, *, agent: str = "") -> None:
        self._url = url
        self._agent = agent

    def newest(self) -> int:
        """The number of the latest one; 0 where there is none."""
        return max((int(letter["id"]) for letter in self._ask({"newest": "1"})), default=0)

    def after(self, key: int) -> Iterator[Letter]:
        """Those that came after this one, the oldest first."""
        while found := self._ask({"after": str(key), "agent": self._agent}):
            yield from found
            key = int(found[-1]["id"])

    def these(self, keys: list[int]) -> list[Letter]:
        """What has become of these, as far as they are still kept."""
        return self._ask({"ids": ",".join(map(str, keys))})

    def changes(self) -> Iterator[None]:
        """Returns again and again when something has come or changed: by the stream that the page itself listens to."""
        try:
            with requests.get(f"{self._url}events", stream=True, timeout=(ANSWER_SECONDS, SILENT_SECONDS)) as answer:
                answer.raise_for_status()
                for line in answer.iter_lines():
                    if line.startswith(b"event:"):
                        yield
        except requests.RequestException as error:
            raise EmulatorsEndedError from error
        raise EmulatorsEndedError

    def introduce(self, agents: Iterable[tuple[str, str, str]]) -> None:
        """Tell the page who is who: (id, name, address) of everybody. It shows addresses alone otherwise."""
        told = {"agents": [{"id": key, "name": name, "address": address} for key, name, address in agents]}
        try:
            requests.put(f"{self._url}agents", json=told, timeout=ANSWER_SECONDS).raise_for_status()
        except requests.RequestException as error:
            raise EmulatorsEndedError from error

    def _ask(self, query: dict[str, str]) -> list[Letter]:
        try:
            answer = requests.get(f"{self._url}letters", params=query, timeout=ANSWER_SECONDS)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise EmulatorsEndedError from error
        found: list[Letter] = answer.json()["letters"]
        return found
