"""The rule of merges, on clones of a log in memory: what is judged anew, what is told, what nobody may take twice."""

from __future__ import annotations

from typing import Any

import pytest

from gitcoord.errors import NotHolder, RevisionMismatch
from gitcoord.model import Operation
from gitcoord.transitions.merging import placed
from support.branches import Branch
from support.clock import ManualClock


@pytest.fixture
def here() -> Branch:
    """Return a clone whose sessions s1, s2 and s3 signed on before there was another."""
    made = Branch()
    for name in ("s1", "s2", "s3"):
        made.start(name, lease_s=100)
    return made


@pytest.fixture
def there(here: Branch) -> Branch:
    """Return the other clone, whose tip is the first parent."""
    return here.clone()


def merged(there: Branch, here: Branch) -> Operation:
    made = there.merge_in(here.head)
    assert made is not None
    return there.dag.operations(made)[0]


def codes(made: Operation) -> list[str]:
    return [refusal["code"] for refusal in made["refused"]]


def news(branch: Branch, session: str) -> list[str]:
    return [notice["text"] for notice in branch.session(session)["notices"]]


# -- locks


def test_what_still_holds_is_granted_with_the_merges_revision(here: Branch, there: Branch) -> None:
    here.lock("s1", "a")
    there.lock("s2", "b")
    there.store("s2", "s", "k", 1)
    made = merged(there, here)
    assert (len(made["replayed"]), made["refused"]) == (1, [])
    assert there.lock_of("s1", "a")["token"] == there.revision == 7
    assert there.lock_of("s2", "b")["token"] == 5


def test_what_others_hold_is_refused_and_its_session_told(here: Branch, there: Branch) -> None:
    here.lock("s1", "a", "b")
    there.lock("s2", "a")
    made = merged(there, here)
    assert codes(made) == ["lock_held"]
    assert there.held("s1") == []
    (text,) = news(there, "s1")
    assert "your lock on a, b of 20" in text
    assert "a is held by s2" in text
    assert [(one["path"], one["grant"]) for one in there.session("s1").get("lost", [])] == [
        ("a", made["refused"][0]["id"]),
        ("b", made["refused"][0]["id"]),
    ]


def test_a_merge_that_restores_grants_anew_what_met_a_confirmed_lock(here: Branch, there: Branch) -> None:
    there.lock("s2", "a")
    there.lock("s2", "free")
    here.store("s1", "k", "k", 1)
    here.lock("s1", "a")  # confirmed too, on a remote that had gone back, and with the larger token
    told = here.lock_of("s1", "a")["token"]
    before, free = there.lock_of("s2", "a"), there.lock_of("s2", "free")
    assert told > before["token"]
    made = there.dag.merge(there.head, here.head, restores="forked")
    assert made is not None
    there.move(made)
    after = there.lock_of("s2", "a")
    assert after == {**before, "token": there.revision}
    assert after["token"] > told
    assert there.lock_of("s2", "free") == free
    (said,) = news(there, "s1")
    assert "on a log that was forked" in said
    assert "without the remote" not in said


def test_an_ordinary_merge_grants_nothing_anew(here: Branch, there: Branch) -> None:
    there.lock("s2", "a")
    here.lock("s1", "a")
    before = there.lock_of("s2", "a")
    merged(there, here)
    assert there.lock_of("s2", "a") == before


def test_a_lost_lock_is_forgotten_when_it_is_asked_for_anew_or_let_go(here: Branch, there: Branch) -> None:
    here.lock("s1", "a", "b", "c")
    there.lock("s2", "a")
    merged(there, here)
    there.unlock("s1", "a")
    there.lock("s1", "b")
    assert [one["path"] for one in there.session("s1").get("lost", [])] == ["c"]
    with pytest.raises(NotHolder):
        there.unlock("s1", "a")


def test_a_file_and_a_resource_of_one_name_are_lost_apart(here: Branch, there: Branch) -> None:
    here.lock("s1", "a")
    there.lock("s2", "a")
    merged(there, here)
    with pytest.raises(NotHolder):
        there.unlock("s1", "a", resource=True)
    there.lock("s1", "a", resource=True)
    assert [one["kind"] for one in there.session("s1").get("lost", [])] == ["file"]


def test_a_lock_that_was_lost_and_unlocked_in_its_clone_is_no_second_refusal(here: Branch, there: Branch) -> None:
    here.lock("s1", "a")
    here.unlock("s1", "a")
    there.lock("s2", "a")
    made = merged(there, here)
    assert codes(made) == ["lock_held"]
    assert "lost" not in there.session("s1")


def test_a_relock_keeps_the_token_that_the_first_parent_gave(here: Branch, there: Branch) -> None:
    there.lock("s1", "a")
    here.lock("s1", "a", reason="mine")
    merged(there, here)
    assert there.lock_of("s1", "a")["token"] == 5
    assert there.session("s1")["held"] == 1


def test_a_refused_operation_leaves_nothing_of_itself(here: Branch, there: Branch) -> None:
    here.lock("s1", "a", "b")
    there.move(here.head)
    there.run("lock.break", "s3", locks=there.named("s1", "b"), reason="stale")
    here.run("lock.break", "s2", locks=here.named("s1", "a", "b"), reason="stale")
    made = merged(there, here)
    assert codes(made) == ["not_found"]
    assert there.held("s1") == ["a"]
    assert there.session("s1")["held"] == 1
    assert len(news(there, "s1")) == 1


def test_a_break_hits_the_grant_that_it_saw_and_no_later_one(here: Branch, there: Branch) -> None:
    here.lock("s1", "a")
    there.move(here.head)
    here.run("lock.break", "s2", locks=here.named("s1", "a"), reason="stale")
    there.unlock("s1", "a")
    there.lock("s1", "a")
    assert codes(merged(there, here)) == ["not_found"]
    assert there.held("s1") == ["a"]


def test_who_holds_nothing_more_there_is_refused_and_needs_no_news(here: Branch, there: Branch) -> None:
    here.lock("s1", "a")
    there.move(here.head)
    there.unlock("s1", "a")
    here.unlock("s1", "a")
    assert codes(merged(there, here)) == ["not_holder"]
    assert news(there, "s1") == []


# -- news


def test_a_replay_clears_no_news(here: Branch, there: Branch) -> None:
    there.lock("s1", "a")
    there.run("lock.break", "s2", locks=there.named("s1", "a"), reason="stale")
    here.store("s1", "s", "k", 1)
    merged(there, here)
    assert len(news(there, "s1")) == 1


def test_what_a_merge_refused_that_nobody_agreed_on_is_on_record_and_told_in_the_next(
    here: Branch, there: Branch
) -> None:
    third = here.clone()
    here.store("s1", "s", "first", 1)
    here.lock("s1", "a")
    here.store("s1", "s", "second", 2)
    third.lock("s2", "a")
    third_did = [third.dag.operations(third.head)[0]["id"]]
    first = merged(third, here)
    there.store("s3", "s", "other", 3)
    second = merged(there, third)
    assert [refusal["id"] for refusal in second["refused"]] == [refusal["id"] for refusal in first["refused"]]
    assert second["refused"][0]["message"] == first["refused"][0]["message"]
    assert [one for one, _ in placed(second)] == [*third_did, *[one for one, _ in placed(first)]]
    assert len(news(there, "s1")) == 1
    assert there.dag.merge(there.head, third.head) is None


def test_a_merge_says_where_between_the_others_its_refusals_stood(here: Branch, there: Branch) -> None:
    here.store("s1", "s", "first", 1)
    here.lock("s1", "a")
    here.unlock("s1", "a")
    here.lock("s1", "a", "b")
    there.lock("s2", "a")
    behind = len(there.trees)
    wanted = [there.dag.operations(oid)[0]["id"] for oid in here.dag.first_parents(here.head)][-4:]
    made = merged(there, here)
    assert len(there.trees) == behind + 1
    assert [one for one, _ in placed(made)] == wanted
    assert [refusal is None for _, refusal in placed(made)] == [True, False, True, False]


# -- who is gone


def challenge(branch: Branch, clock: ManualClock, fields: dict[str, Any]) -> None:
    target = {"target": "s1", "target_incarnation": branch.incarnations["s1"]}
    branch.run("session.challenge", "far", clock, **{**target, **fields})


def reap(branch: Branch, session: str, clock: ManualClock, kind: str) -> None:
    target = {"target": "s1", "target_incarnation": branch.incarnations["s1"]}
    branch.run("session.reap", session, clock, **target, evidence={"kind": kind})


@pytest.mark.parametrize("says_which", [True, False])
def test_a_challenge_that_did_not_see_the_last_renewal_ends_nobody(*, says_which: bool) -> None:
    here, far = Branch(), ManualClock(machine="machine-far")
    here.start("s1", lease_s=100)
    here.start("far", clock=far, lease_s=9000)
    there = here.clone()
    challenge(here, far, {"renewal": here.session("s1")["renewal"]} if says_which else {})
    far.advance(106)
    there.lock("s1", "a")
    reap(here, "far", far, "challenge")
    assert codes(merged(there, here)) == ["refused", "refused"]
    assert there.held("s1") == ["a"]


def test_a_challenge_and_what_followed_hold_where_nobody_renewed() -> None:
    here, far = Branch(), ManualClock(machine="machine-far")
    here.start("s1", lease_s=100)
    here.start("s2")
    here.start("far", clock=far, lease_s=9000)
    here.lock("s1", "a")
    there = here.clone()
    challenge(here, far, {"renewal": here.session("s1")["renewal"]})
    far.advance(106)
    reap(here, "far", far, "challenge")
    here.lock("far", "a", clock=far)
    there.store("s2", "s", "k", 1)
    assert codes(merged(there, here)) == []
    assert there.held("far") == ["a"]


def test_that_a_process_is_gone_says_nothing_of_the_one_that_went_on_later() -> None:
    here = Branch()
    here.start("s1", proof={"boot": here.clock.boot, "nonce": "old"})
    here.start("s2")
    there = here.clone()
    here.clock.advance(1)
    reap(here, "s2", here.clock, "process-gone")
    there.clock.advance(1)
    proof = {"boot": there.clock.boot, "nonce": "new"}
    there.run("session.resume", "s1", process=True, proof=proof, lease_s=900, machine_name="host")
    assert codes(merged(there, here)) == ["refused"]
    assert there.session("s1")["proof"] == proof


def test_a_session_that_was_taken_over_there_acts_no_more(here: Branch, there: Branch) -> None:
    here.lock("s1", "a")
    there.clock.advance(101)
    there.start("s1", takeover=there.takeover_of("s1", "lease-over"))
    assert codes(merged(there, here)) == ["session_ended"]
    assert (there.held("s1"), news(there, "s1")) == ([], [])


# -- shared state


def test_nobody_takes_the_revision_of_his_refused_store_for_that_of_anothers(here: Branch, there: Branch) -> None:
    here.store("s1", "s", "k", "mine")
    there.store("s2", "s", "k", "theirs")
    mine, theirs = here.state.datum("s", "k"), there.state.datum("s", "k")
    assert mine is not None
    assert theirs is not None
    assert mine["revision"] == theirs["revision"]  # as it happens where both did one thing
    merged(there, here)
    with pytest.raises(RevisionMismatch):
        there.store("s1", "s", "k", "over it unseen", expect_revision=mine["revision"])
    after = there.state.datum("s", "k")
    assert after == {**theirs, "revision": there.revision}


@pytest.mark.parametrize("kind", ["data.delete", "data.delete_scope"])
def test_a_deletion_that_does_not_say_what_it_deletes_is_not_replayed(here: Branch, there: Branch, kind: str) -> None:
    here.store("s1", "s", "k", 1)
    there.move(here.head)
    there.store("s2", "s", "other", 1)
    fields: dict[str, Any] = {"key": "k", "expect_revision": None} if kind == "data.delete" else {}
    here.run(kind, "s1", scope="s", **fields)
    assert codes(merged(there, here)) == ["revision_mismatch"]
    assert there.state.keys("s") == ["k", "other"]


def test_a_scope_into_which_others_stored_is_not_deleted(here: Branch, there: Branch) -> None:
    from gitcoord.transitions.data import contents

    here.store("s1", "s", "k", 1)
    there.move(here.head)
    here.run("data.delete_scope", "s1", scope="s", replaces=contents(here.state, "s"))
    quiet = there.clone()
    quiet.store("s2", "elsewhere", "k", 1)
    there.store("s2", "s", "other", 1)
    assert codes(merged(quiet, here)) == []
    assert codes(merged(there, here)) == ["revision_mismatch"]


# -- what came too late


def renew_later(there: Branch) -> None:
    """Let s1 choose a short lease in the other clone, 50 s after all that it did in the first one."""
    there.clock.advance(50)
    there.run("session.renew", "s1", lease_s=60, intent=None, others=[])


def lease(branch: Branch) -> tuple[int, int, int, str]:
    record = branch.session("s1")
    return record["clock"]["uptime_ms"], record["lease_s"], record["usual_s"], record["renewal"]


@pytest.mark.parametrize("kind", ["renew", "resume", "others", "lock"])
def test_an_old_renewal_extends_no_lease_that_was_renewed_later(here: Branch, there: Branch, kind: str) -> None:
    if kind == "renew":
        here.run("session.renew", "s1", lease_s=9000, intent=None, others=[])
    elif kind == "resume":
        here.run("session.resume", "s1", process=True, proof=None, lease_s=9000, machine_name="host")
    elif kind == "others":
        other = {"session": "s1", "incarnation": here.incarnations["s1"]}
        here.run("session.renew", "s2", lease_s=None, intent=None, others=[other])
    else:
        here.lock("s1", "a")
    renew_later(there)
    before = lease(there)
    assert codes(merged(there, here)) == []
    assert lease(there) == before


def test_a_lock_of_its_own_time_lengthens_a_later_lease_to_that_time_only(here: Branch, there: Branch) -> None:
    here.lock("s1", "a", ttl_s=200)
    renew_later(there)
    assert codes(merged(there, here)) == []
    assert there.session("s1")["lease_s"] == 150, "50 of the 200 s had passed when the lease began"


def test_an_old_renewal_voids_no_challenge_of_a_later_one(here: Branch, there: Branch) -> None:
    here.run("session.renew", "s1", lease_s=9000, intent=None, others=[])
    renew_later(there)
    far = ManualClock(machine="machine-far")
    there.start("far", clock=far, lease_s=9000)
    challenge(there, far, {"renewal": there.session("s1")["renewal"]})
    assert codes(merged(there, here)) == []
    far.advance(64)
    reap(there, "far", far, "challenge")
    assert "s1" not in there.state.session_ids()
