"""Which conversation a mail belongs to, from what is known of earlier ones; no database here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from azmail.inbox.parcels import Parcel

Place = tuple[str, str]
"""An agent and a digest that its mails may be referred to by."""


class Known(NamedTuple):
    """What a digest leads to; `own`: a mail with this id is there, else it was only mentioned."""

    thread: int
    own: bool


def asked(parcels: Sequence[Parcel]) -> list[Place]:
    """What must be known to place these mails, sorted."""
    return sorted(
        {
            (parcel.agent, one)
            for parcel in parcels
            for one in (*parcel.references, *parcel.mentions, parcel.own_reference)
            if one
        }
    )


def placed(parcels: Sequence[Parcel], before: Mapping[Place, Known]) -> tuple[dict[str, int], dict[Place, Known]]:
    """The thread of each mail by its id, and what is to be remembered that was not known, or otherwise."""
    known = dict(before)
    threads: dict[str, int] = {}
    for parcel in parcels:
        mine = known.get((parcel.agent, parcel.own_reference or ""))
        places = [known[parcel.agent, one] for one in parcel.references if (parcel.agent, one) in known]
        if mine is not None and not mine.own:
            places.insert(0, mine)  # somebody answered to it, and that came first
        thread = places[0].thread if places else int(parcel.id[:15], 16)
        for one in parcel.mentions:
            known.setdefault((parcel.agent, one), Known(thread, False))
        # Some senders give every mail the same id: that ties nothing together, and the first keeps it.
        if parcel.own_reference and (mine is None or not mine.own):
            known[parcel.agent, parcel.own_reference] = Known(thread, True)
        threads[parcel.id] = thread
    return threads, {place: found for place, found in known.items() if before.get(place) != found}
