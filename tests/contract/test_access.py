"""Users, sessions, invitations and tokens, on both databases."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

import pytest

from actions import audit
from actions.access import passwords, roles, sessions, tokens, users
from actions.access.identities import LedgerIdentities
from actions.ledger import Ledger, chain, people
from actions.model import Principal
from actions.refusals import Refusal
from actions.settings import ActionSettings
from tests.contract.desk import ManualClock

pytest_plugins = ("tests.contract.ledgers",)

ROOT = Principal("user:root", frozenset({"admin"}))
PASSWORD = "correct horse battery staple"  # noqa: S105
HASH = passwords.hashed(PASSWORD)


@pytest.fixture
def ledger(where: str, clock: ManualClock) -> Iterator[Ledger]:
    opened = Ledger.open(where, clock=clock)
    with opened.transaction() as tx:
        users.first_admin(tx, HASH, "root")
    yield opened
    opened.close()


@pytest.fixture
def identities(ledger: Ledger) -> LedgerIdentities:
    return LedgerIdentities(ledger, local=True)


def add(ledger: Ledger, name: str, *given: str, email: str | None = None) -> users.User:
    with ledger.transaction() as tx:
        return users.create(tx, name, given, ROOT, email=email, password_hash=HASH)


def refused(code: str, do: Callable[[], object]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        do()
    assert caught.value.code == code
    return caught.value


def in_tx(ledger: Ledger, do: Callable[..., object], *args: object, **more: object) -> Callable[[], object]:
    def run() -> object:
        with ledger.transaction() as tx:
            return do(tx, *args, **more)

    return run


def entries(ledger: Ledger) -> list[dict[str, object]]:
    with ledger.reading() as reading:
        return [json.loads(body) for _, body, _ in chain.everything(reading)]


def test_roles_are_the_table_of_the_specification() -> None:
    may = {role: roles.permissions(Principal("x", frozenset({role}))) for role in roles.ROLES}
    assert may["ingester"] == {"ingest"}
    assert all("read" in may[role] for role in may.keys() - {"ingester"})
    assert not may["admin"] & {"approve", "reveal", "operate"}
    assert may["analyst"] < may["operator"]
    assert "approve" not in may["operator"]
    both = roles.permissions(Principal("x", frozenset({"operator", "approver"})))
    assert both == may["operator"] | may["approver"]
    assert roles.permissions(Principal("x", frozenset({"root"}))) == frozenset()


def test_the_http_side_has_the_same_table() -> None:
    from api.auth import permissions

    assert {role: {str(one) for one in given} for role, given in permissions.ROLES.items()} == roles.ROLES


def test_signing_in_makes_a_new_session_each_time(ledger: Ledger, identities: LedgerIdentities) -> None:
    add(ledger, "alice", "operator", "approver")
    first = identities.sign_in("alice", PASSWORD)
    assert identities.of_session(first) == Principal("user:alice", frozenset({"operator", "approver"}))
    planted = "a-session-that-an-attacker-chose"
    second = identities.sign_in("alice", PASSWORD, replaces=planted)
    assert len({first, second, planted}) == 3
    assert identities.of_session(planted) is None
    third = identities.sign_in("alice", PASSWORD, replaces=first)
    assert [identities.of_session(each) is None for each in (first, second, third)] == [True, False, False]
    identities.close_session(second)
    identities.close_session(second)
    assert identities.of_session(second) is None


def test_a_session_ends_by_time_role_change_and_disabling(
    ledger: Ledger, identities: LedgerIdentities, clock: ManualClock
) -> None:
    add(ledger, "alice", "operator")
    given = identities.sign_in("alice", PASSWORD)
    in_tx(ledger, users.set_roles, "user:alice", ["viewer"], ROOT)()
    found = identities.of_session(given)
    assert found is not None
    assert found.roles == {"viewer"}
    in_tx(ledger, users.disable, "user:alice", ROOT, reason="left")()
    assert identities.of_session(given) is None
    refused("unauthenticated", lambda: identities.sign_in("alice", PASSWORD))
    in_tx(ledger, users.enable, "user:alice", ROOT, reason="back")()
    assert identities.of_session(given) is None
    again = identities.sign_in("alice", PASSWORD)
    clock.pass_(hours=12)
    assert identities.of_session(again) is None


def test_wrong_passwords_say_the_same_of_everybody_and_lock(
    ledger: Ledger, identities: LedgerIdentities, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "FAILURES", 3)
    add(ledger, "alice", "operator")
    said = {
        refused("unauthenticated", partial(identities.sign_in, name, "wrong")).message
        for name in ("alice", "nobody", "☃")
    }
    assert len(said) == 1
    for _ in range(sessions.FAILURES - 1):
        refused("unauthenticated", lambda: identities.sign_in("alice", "wrong"))
    locked = refused("unauthenticated", lambda: identities.sign_in("alice", PASSWORD))
    assert {locked.message} == said
    locks = [each for each in entries(ledger) if each["verb"] == "user.locked"]
    assert len(locks) == 1
    clock.pass_(minutes=15)
    assert identities.of_session(identities.sign_in("alice", PASSWORD)) is not None


@pytest.mark.parametrize("weak", ["short", "x" * 300, "aaaaaaaaaaaaaaaa", "ringfence is the best", "ab" * 10])
def test_weak_passwords_are_refused(weak: str) -> None:
    refused("weak_password", lambda: passwords.hashed(weak, "ringfence"))


def test_passwords_are_the_same_from_every_keyboard() -> None:
    kept = passwords.hashed("Ｚwölf Boxkämpfer")
    assert kept.startswith("$argon2id$")
    assert passwords.matches(kept, "Zwo\u0308lf Boxka\u0308mpfer")
    assert not passwords.matches(kept, "Zwolf Boxkampfer")
    assert not passwords.matches(kept, "\ud800")
    assert not passwords.matches(None, "the password of nobody at all")
    assert not passwords.matches("no hash", "x")


def test_a_password_change_ends_the_other_sessions(ledger: Ledger, identities: LedgerIdentities) -> None:
    alice = add(ledger, "alice", "operator").principal
    mine, other = identities.sign_in("alice", PASSWORD), identities.sign_in("alice", PASSWORD)
    new = passwords.hashed("another horse battery staple")
    from actions.access import secret

    in_tx(ledger, users.set_password, "user:alice", new, alice, keep=secret.digest(mine))()
    assert identities.of_session(mine) is not None
    assert identities.of_session(other) is None
    refused("unauthenticated", lambda: identities.sign_in("alice", PASSWORD))
    bob = add(ledger, "bob", "operator").principal
    refused("forbidden", in_tx(ledger, users.set_password, "user:alice", new, bob))


def test_an_invitation_opens_one_session_once(identities: LedgerIdentities, clock: ManualClock) -> None:
    url_token = identities.invite_owner()
    opened = identities.open_session(url_token)
    assert opened is not None
    owner = identities.of_session(opened)
    assert owner is not None
    assert (owner.id, owner.kind) == ("local:owner", "local")
    assert owner.roles == roles.ROLES.keys() - {"approver"}
    assert identities.open_session(url_token) is None
    late = identities.invite_owner()
    clock.pass_(minutes=10)
    assert [identities.open_session(each) for each in (late, "", "☃", "x" * 999, opened)] == [None] * 5


def test_an_invitation_is_no_way_to_act_as_somebody_else(
    ledger: Ledger, identities: LedgerIdentities, clock: ManualClock
) -> None:
    add(ledger, "alice", "approver")
    with ledger.transaction() as tx:
        users.create(tx, "bob", ["approver"], ROOT, email="bob@example.com")
        users.create(tx, "new", ["approver"], ROOT)
        opens = [sessions.invite(tx, f"user:{name}", ROOT) for name in ("bob", "new")]
    assert [identities.open_session(each) is None for each in opens] == [False, False]
    identities.sign_in_as("https://id.example.com", "sub-1", "bob@example.com", verified=True)
    owners = identities.invite_owner()
    for user_id in ("user:alice", "user:bob", users.OWNER):
        refused("wrong_state", in_tx(ledger, sessions.invite, user_id, ROOT))
    elsewhere = LedgerIdentities(ledger)
    session = elsewhere.open_session(owners)
    assert session is not None
    assert elsewhere.of_session(session) is None
    refused("forbidden", elsewhere.invite_owner)
    assert elsewhere.approvers() == 2
    with ledger.transaction() as tx:
        late = sessions.invite(tx, "user:new", ROOT)
    clock.pass_(hours=24)
    assert identities.open_session(late) is None


def test_single_operator_mode_lets_the_owner_approve(ledger: Ledger, identities: LedgerIdentities) -> None:
    assert identities.approvers() == 0
    ledger.settings = ActionSettings(single_operator=True)
    given = identities.open_session(identities.invite_owner())
    assert given is not None
    found = identities.of_session(given)
    assert found is not None
    assert "approver" in found.roles
    assert identities.approvers() == 1
    ledger.settings = ActionSettings()
    identities.invite_owner()
    found = identities.of_session(given)
    assert found is not None
    assert "approver" not in found.roles


def test_a_provider_binds_an_address_once(ledger: Ledger, identities: LedgerIdentities) -> None:
    add(ledger, "alice", "approver", email="Alice@Example.com")
    issuer = "https://id.example.com"
    refused(
        "unauthenticated",
        lambda: identities.sign_in_as(issuer, "sub-1", "alice@example.com", verified=False),
    )
    refused("unauthenticated", lambda: identities.sign_in_as(issuer, "sub-1", None, verified=True))
    given = identities.sign_in_as(issuer, "sub-1", "ALICE@example.com", verified=True)
    found = identities.of_session(given)
    assert found is not None
    assert found.id == "user:alice"
    assert identities.of_session(identities.sign_in_as(issuer, "sub-1", None, verified=False)) == found
    for stranger in ((issuer, "sub-2"), ("https://evil.example", "sub-1")):
        refused(
            "unauthenticated",
            partial(identities.sign_in_as, *stranger, "alice@example.com", verified=True),
        )
    in_tx(ledger, users.set_email, "user:alice", "alice@example.com", ROOT)()
    assert identities.of_session(given) is None
    rebound = identities.sign_in_as(issuer, "sub-2", "alice@example.com", verified=True)
    assert identities.of_session(rebound) == found


def test_tokens_are_scoped_short_lived_and_never_kept(
    ledger: Ledger, identities: LedgerIdentities, clock: ManualClock
) -> None:
    def issue(name: str = "cron", given: tuple[str, ...] = ("operator",), **more: object) -> tokens.Issued:
        with ledger.transaction() as tx:
            return tokens.issue(tx, name, given, ROOT, purpose="nightly", **more)  # type: ignore[arg-type]

    made = issue(life=timedelta(days=90))
    assert made.secret.startswith("rf_")
    assert len(made.secret) == 3 + 43
    assert identities.of_token(made.secret) == Principal("token:cron", frozenset({"operator"}), "token")
    assert made.secret not in json.dumps(entries(ledger))
    with ledger.reading() as reading:
        assert made.secret not in repr([dict(row) for row in people.list_tokens(reading)])
        assert [each.hint for each in tokens.listed(reading)] == [made.secret[-4:]]
    refused("taken", issue)
    refused("bad_request", lambda: issue("other", ("approver",)))
    refused("bad_request", lambda: issue("other", ("operator", "admin")))
    refused("bad_request", lambda: issue("other", ()))
    refused("bad_request", lambda: issue("other", life=timedelta(days=90, seconds=1)))
    refused("bad_request", lambda: issue("other", life=timedelta(0)))
    refused("bad_request", lambda: issue("Not A Name"))
    clock.pass_(days=90)
    assert identities.of_token(made.secret) is None


def test_a_rotated_token_works_for_a_day_more(
    ledger: Ledger, identities: LedgerIdentities, clock: ManualClock
) -> None:
    with ledger.transaction() as tx:
        old = tokens.issue(tx, "cron", ["viewer"], ROOT, purpose="nightly")
        new = tokens.rotate(tx, old.token.token_id, ROOT)
    assert identities.of_token(old.secret) == identities.of_token(new.secret)
    refused("wrong_state", in_tx(ledger, tokens.rotate, old.token.token_id, ROOT))
    clock.pass_(hours=24)
    assert identities.of_token(old.secret) is None
    in_tx(ledger, tokens.revoke, new.token.token_id, ROOT, reason="leaked")()
    assert identities.of_token(new.secret) is None
    refused("wrong_state", in_tx(ledger, tokens.revoke, new.token.token_id, ROOT))
    refused("not_found", in_tx(ledger, tokens.revoke, "tok_none", ROOT))


@pytest.mark.parametrize(
    "given", ["", "rf_", "rf_" + "A" * 43, "RF_x", "Bearer rf_", "rf_☃", "rf_" + "x" * 500]
)
def test_what_is_no_token_opens_nothing(identities: LedgerIdentities, given: str) -> None:
    assert identities.of_token(given) is None
    assert identities.of_session(given) is None


def test_sessions_are_no_tokens_and_tokens_no_sessions(ledger: Ledger, identities: LedgerIdentities) -> None:
    with ledger.transaction() as tx:
        token = tokens.issue(tx, "cron", ["viewer"], ROOT, purpose="x").secret
    session = identities.sign_in("root", PASSWORD)
    assert identities.of_session(token) is None
    assert identities.of_token(session) is None
    assert identities.open_session(token) is None


def test_only_a_person_who_is_admin_hands_out_access(ledger: Ledger) -> None:
    robot = Principal("token:admin", frozenset({"admin"}), "token")
    bob = Principal("user:bob", frozenset({"operator", "approver", "auditor"}))
    add(ledger, "alice", "viewer")
    for who, code in ((robot, "not_a_person"), (bob, "forbidden")):
        refused(code, in_tx(ledger, users.create, "eve", ["viewer"], who))
        refused(code, in_tx(ledger, users.set_roles, "user:alice", ["admin"], who))
        refused(code, in_tx(ledger, users.disable, "user:alice", who, reason=""))
        refused(code, in_tx(ledger, users.erase, "user:alice", who))
        refused(code, in_tx(ledger, tokens.issue, "x", ["viewer"], who, purpose="x"))
        refused(code, in_tx(ledger, sessions.invite, "user:alice", who))
        refused(code, in_tx(ledger, sessions.end_all, "user:alice", who))


def test_nobody_changes_their_own_access_and_an_admin_remains(ledger: Ledger) -> None:
    refused("forbidden", in_tx(ledger, users.set_roles, "user:root", ["admin", "approver"], ROOT))
    other = add(ledger, "other", "admin").principal
    in_tx(ledger, users.disable, "user:root", other, reason="left")()
    third = Principal("user:ghost", frozenset({"admin"}))
    refused("wrong_state", in_tx(ledger, users.disable, "user:other", third, reason=""))
    refused("wrong_state", in_tx(ledger, users.set_roles, "user:other", ["viewer"], third))
    refused("wrong_state", in_tx(ledger, users.erase, "user:other", third))
    with ledger.transaction() as tx:
        assert users.first_admin(tx, HASH) is None


def test_names_and_addresses_belong_to_one(ledger: Ledger) -> None:
    add(ledger, "alice", "viewer", email="a@example.com")
    refused("taken", lambda: add(ledger, "alice", "viewer"))
    refused("taken", lambda: add(ledger, "bob", "viewer", email="A@example.com"))
    add(ledger, "bob", "viewer")
    refused("taken", in_tx(ledger, users.set_email, "user:bob", "a@example.com", ROOT))
    for name in ("", "Alice", "a b", "a\n", "../x", "-x", "x" * 65, "ａｌｉｃｅ"):
        refused("bad_request", partial(add, ledger, name, "viewer"))
    for address in ("", "nobody", "a@b@c", "a @b", "a\u200b@b", "x" * 65 + "@b"):
        refused("bad_request", partial(add, ledger, "carol", "viewer", email=address))
    refused("bad_request", lambda: add(ledger, "carol", "root"))


def test_an_erased_user_leaves_no_name(ledger: Ledger, identities: LedgerIdentities) -> None:
    add(ledger, "zelda.unique", "admin", email="zelda.unique@example.com")
    zelda = Principal("user:zelda.unique", frozenset({"admin"}))
    session = identities.sign_in("zelda.unique", PASSWORD)
    with ledger.transaction() as tx:
        tokens.issue(tx, "cron", ["viewer"], zelda, purpose="x")
        users.create(tx, "pawn", ["viewer"], zelda)
    in_tx(ledger, users.erase, "user:zelda.unique", ROOT)()
    assert identities.of_session(session) is None
    assert "zelda" not in json.dumps(entries(ledger))
    with ledger.reading() as reading:
        kept = [dict(row) for row in (*people.list_users(reading), *people.list_tokens(reading))]
    assert "zelda" not in repr(kept)
    assert audit.verify(ledger).problems == []


def test_everything_is_audited_by_audit_names(ledger: Ledger, identities: LedgerIdentities) -> None:
    add(ledger, "alice", "viewer")
    identities.close_session(identities.sign_in("alice", PASSWORD))
    with ledger.transaction() as tx:
        users.create(tx, "new", ["viewer"], ROOT)
        opened = sessions.open_invited(tx, sessions.invite(tx, "user:new", ROOT))
        assert opened is not None
    in_tx(ledger, sessions.end_all, "user:alice", ROOT)()
    verbs = [str(each["verb"]) for each in entries(ledger)]
    assert verbs == [
        "user.created",
        "user.created",
        "session.opened",
        "session.closed",
        "user.created",
        "user.invited",
        "session.opened",
        "session.all_ended",
    ]
    assert "user:alice" not in json.dumps(entries(ledger))
    auditor = Principal("user:audrey", frozenset({"auditor"}))
    with ledger.reading() as reading:
        named = [set(each.names.values()) for each in audit.entries(reading, auditor)]
    assert named[1] == {"user:root", "user:alice"}


def test_sessions_are_listed_and_ended_one_by_one(ledger: Ledger, identities: LedgerIdentities) -> None:
    alice = add(ledger, "alice", "viewer").principal
    bob = add(ledger, "bob", "viewer").principal
    first, second = (identities.sign_in("alice", PASSWORD) for _ in range(2))
    with ledger.reading() as reading:
        listed = sessions.listed(reading, "user:alice", alice)
        assert len(listed) == 2
        assert first not in repr(listed)
    refused("forbidden", in_tx(ledger, sessions.end, "user:alice", listed[0].session_id, bob))
    refused("not_found", in_tx(ledger, sessions.end, "user:bob", listed[0].session_id, bob))
    for each in listed:
        in_tx(ledger, sessions.end, "user:alice", each.session_id, alice)()
    assert identities.of_session(first) is identities.of_session(second) is None
