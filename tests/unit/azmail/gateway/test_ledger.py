"""Limits, revocations and results, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy

from azmail.gateway import ledger as ledger_module
from azmail.gateway.ledger import Earlier, Ledger, LedgerError, LimitReachedError, SendingLimits, Stage

NO_LIMITS = SendingLimits()


def begin(ledger: Ledger, key: str, agent: str = "a", *, digest: str = "d", **options: Any) -> Earlier | None:
    given: dict[str, Any] = {"recipients": 1, "limits": NO_LIMITS, "account": NO_LIMITS}
    return ledger.begin(agent, key, digest, **(given | options))


class TestMessages:
    def test_from_begin_to_answer(self, ledger: Ledger) -> None:
        assert begin(ledger, "k") is None
        assert begin(ledger, "k") == Earlier("d", Stage.UNDER_WAY, "")
        ledger.answered("a", "k", "250 ok")
        assert begin(ledger, "k", digest="other") == Earlier("d", Stage.ANSWERED, "250 ok")

    def test_agents_do_not_meet(self, ledger: Ledger) -> None:
        assert begin(ledger, "k", "a") is None
        assert begin(ledger, "k", "b") is None

    def test_what_has_not_left_may_begin_anew(self, ledger: Ledger) -> None:
        begin(ledger, "k")
        ledger.take_back("a", "k", recipients=1)
        assert begin(ledger, "k") is None

    def test_of_many_at_once_one_begins(self, ledger: Ledger) -> None:
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda _: begin(ledger, "k"), range(40)))
        assert found.count(None) == 1

    def test_whoever_died_over_a_message_leaves_it_lost(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        begin(ledger, "k")
        monkeypatch.setattr(ledger_module, "HANDLING_SECONDS", -1)
        assert begin(ledger, "k") == Earlier("d", Stage.LOST, "")

    def test_an_answer_may_be_remembered_for_less(self, ledger: Ledger) -> None:
        begin(ledger, "k")
        assert begin(ledger, "k", remembered=-1) == Earlier("d", Stage.UNDER_WAY, "")
        ledger.answered("a", "k", "250 ok")
        assert begin(ledger, "k") is not None
        assert begin(ledger, "k", remembered=-1) is None

    def test_after_a_day_it_is_forgotten(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        begin(ledger, "k")
        ledger.answered("a", "k", "250 ok")
        monkeypatch.setattr(ledger_module, "RESULT_SECONDS", -1)
        ledger.sweep()
        assert begin(ledger, "k") is None


class TestLimits:
    @pytest.mark.parametrize(
        ("limits", "said"),
        [
            (SendingLimits(messages_an_hour=3), "this agent may send 3 messages per hour; again in "),
            (SendingLimits(messages_a_day=3), "this agent may send 3 messages per day; again in "),
            (SendingLimits(recipients_an_hour=7), "this agent may send 7 recipients per hour; again in "),
            (SendingLimits(recipients_a_day=7), "this agent may send 7 recipients per day; again in "),
        ],
    )
    def test_up_to_it_and_no_further(self, ledger: Ledger, limits: SendingLimits, said: str) -> None:
        for number in range(3):
            assert begin(ledger, f"k{number}", recipients=2, limits=limits) is None
        with pytest.raises(LimitReachedError, match=said) as reached:
            begin(ledger, "k3", recipients=2, limits=limits)
        assert reached.value.again_in is not None
        assert 0 < reached.value.again_in <= 86_400
        assert begin(ledger, "k3", "another", recipients=2, limits=limits) is None

    def test_more_at_once_than_ever_is_not_to_be_tried_again(self, ledger: Ledger) -> None:
        said = "this agent may send 3 messages per hour; 4 at once are never taken, fewer are"
        with pytest.raises(LimitReachedError, match=said) as reached:
            begin(ledger, "k", messages=4, limits=SendingLimits(messages_an_hour=3))
        assert reached.value.again_in is None
        assert begin(ledger, "k", messages=3, limits=SendingLimits(messages_an_hour=3)) is None

    def test_the_accounts_limit_is_everybodys(self, ledger: Ledger) -> None:
        account = SendingLimits(messages_an_hour=2)
        begin(ledger, "k", "a", account=account)
        begin(ledger, "k", "b", account=account)
        with pytest.raises(LimitReachedError, match="the account may send 2 messages per hour"):
            begin(ledger, "k", "c", account=account)

    def test_a_refusal_counts_nothing_and_keeps_nothing(self, ledger: Ledger) -> None:
        limits = SendingLimits(messages_an_hour=1)
        begin(ledger, "k", limits=limits)
        for _ in range(3):
            with pytest.raises(LimitReachedError):
                begin(ledger, "k2", limits=limits)
        assert begin(ledger, "k2", limits=SendingLimits(messages_an_hour=2)) is None

    def test_what_is_taken_back_counts_for_nothing(self, ledger: Ledger) -> None:
        limits = SendingLimits(messages_an_hour=2, recipients_a_day=10)
        begin(ledger, "k", recipients=5, messages=2, limits=limits)
        ledger.take_back("a", "k", recipients=5, messages=2)
        assert begin(ledger, "k", recipients=10, messages=2, limits=limits) is None

    def test_many_at_once_never_pass_it(self, ledger: Ledger) -> None:
        def attempt(number: int) -> bool:
            try:
                return begin(ledger, f"k{number}", limits=SendingLimits(messages_an_hour=10)) is None
            except LimitReachedError:
                return False

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(attempt, range(60))) == 10


class TestRevocations:
    def test_they_only_rise(self, ledger: Ledger) -> None:
        ledger.revoke("a", 3)
        ledger.revoke("a", 1)
        ledger.revoke("b", 1)
        assert ledger.revocations() == {"a": 3, "b": 1}

    def test_another_replica_sees_them(self, ledger: Ledger, ledger_url: str) -> None:
        other = Ledger(ledger_url)
        ledger.revoke("a", 2)
        assert other.revocations() == {"a": 2}
        other.close()


class TestDatabase:
    def test_it_may_be_made_twice(self, ledger: Ledger) -> None:
        begin(ledger, "k")
        ledger.create()
        assert begin(ledger, "k") is not None

    def test_replicas_that_start_at_once_make_it_once(self, ledger_url: str) -> None:
        replicas = [Ledger(ledger_url) for _ in range(6)]
        together = Barrier(len(replicas))

        def start(replica: Ledger) -> None:
            together.wait()
            replica.create()

        with ThreadPoolExecutor(len(replicas)) as threads:
            list(threads.map(start, replicas))
        assert [begin(replica, "k") is None for replica in replicas].count(True) == 1
        for replica in replicas:
            replica.close()

    def test_a_database_that_is_not_there(self) -> None:
        away = Ledger("postgresql+psycopg://nobody:planted-secret@127.0.0.1:1/none", timeout=1.0)
        with pytest.raises(LedgerError, match="did not answer") as refusal:
            away.check()
        assert "planted-secret" not in str(refusal.value)

    def test_a_database_without_the_tables(self, ledger_url: str) -> None:
        empty = Ledger(ledger_url)
        with pytest.raises(LedgerError):
            empty.revocations()
        empty.close()

    def test_no_text_is_a_statement(self, ledger: Ledger) -> None:
        odd = "'; DROP TABLE gateway_use; --"
        assert begin(ledger, "k", odd) is None
        ledger.revoke(odd, 1)
        assert ledger.revocations() == {odd: 1}
        assert sqlalchemy.__version__.startswith("2.")
