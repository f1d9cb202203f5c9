"""A delete leaves alone what this run has claimed, and no claim overtakes a delete."""

from __future__ import annotations

import threading

from providers.mailjet.in_use import InUse


def test_what_is_claimed_is_not_deleted() -> None:
    claims = InUse()
    claims.claim(["Ana@X.example"])
    with claims.deleting("ana@x.example") as allowed:
        assert not allowed
    assert claims.holds("ANA@x.example")


def test_what_is_not_claimed_may_be_deleted_and_claimed_afterwards() -> None:
    claims = InUse()
    with claims.deleting("ana@x.example") as allowed:
        assert allowed
    claims.claim(["ana@x.example"])
    assert claims.holds("ana@x.example")


def test_a_claim_waits_for_the_delete_that_has_begun() -> None:
    claims = InUse()
    order: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def delete() -> None:
        with claims.deleting("ana@x.example"):
            begun.set()
            go_on.wait(10)
            order.append("deleted")

    def claim() -> None:
        claims.claim(["ana@x.example", "bob@x.example"])
        order.append("claimed")

    deleter, claimer = threading.Thread(target=delete), threading.Thread(target=claim)
    deleter.start()
    assert begun.wait(10)
    claimer.start()
    while not claims.holds("bob@x.example"):
        claimer.join(0.001)
    assert order == []
    go_on.set()
    deleter.join(10)
    claimer.join(10)
    assert order == ["deleted", "claimed"]


def test_a_failed_delete_lets_the_claim_go_on() -> None:
    claims = InUse()
    try:
        with claims.deleting("ana@x.example"):
            raise ValueError
    except ValueError:
        claims.claim(["ana@x.example"])
    assert claims.holds("ana@x.example")
