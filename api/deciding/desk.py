"""Where somebody decides: one home's ledger with the run that serves, the rules and the principal."""

from __future__ import annotations

import getpass
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.settings import ActionsSection, load_settings
from graph.errors import RingfenceError
from graph.home import Home, load_pepper

if TYPE_CHECKING:
    from actions.audit import Signer
    from actions.ledger import Ledger
    from actions.model import Clock, Plan, Principal
    from actions.run_population import RunPopulation
    from detection.runs import RunFiles

LEDGER = "ledger.sqlite"
AUDIT_KEY = "RINGFENCE_AUDIT_KEY_FILE"
LATEST = "latest"
LOOKED_AT = 1_000
"""Plans among which the latest is looked for."""
LOCAL_ROLES = frozenset({"analyst", "operator", "approver", "auditor", "admin"})
ED25519 = b"ed25519:"
"""How a file begins that holds the seed of an Ed25519 key, in hex; any other file is a key of HMAC-SHA256."""


@dataclass(frozen=True)
class Desk:
    """Everything that a decision takes. Close it, or use `opened`."""

    home: Home
    section: ActionsSection
    ledger: Ledger
    principal: Principal

    def population(self, *, with_keys: bool = False) -> RunPopulation:
        """The run that serves; `with_keys` also lists active API keys, which only a new ban needs.

        Raises RingfenceError (exit 3) before the first run.
        """
        from detection.runs import Runs

        return population_of(self.home, Runs(self.home).open(), with_keys=with_keys)

    def plan(self, plan_id: str, *, restoring: bool = True) -> Plan:
        """A plan by its id, or the `latest` one (of those that restrict, unless `restoring`). Raises Refusal."""
        from actions.ledger import plans
        from actions.model import Kind
        from actions.refusals import Refusal

        with self.ledger.reading() as reading:
            if plan_id != LATEST:
                return plans.get(reading, plan_id)
            newest = plans.listed(reading, limit=LOOKED_AT)
        for each in newest:
            if restoring or each.kind is not Kind.RESTORE:
                return each
        raise Refusal("not_found", "there is no plan yet", "Make one: ringfence plan CLUSTER --action ban")

    @cached_property
    def signer(self) -> Signer:
        """Signs the audit: the key of `RINGFENCE_AUDIT_KEY_FILE`, else one that the pepper implies."""
        return audit_key()


@contextmanager
def opened(
    home: Home,
    *,
    single_operator: bool = False,
    principal: Principal | None = None,
    clock: Clock | None = None,
) -> Iterator[Desk]:
    """The desk of a home, with its ledger up to date."""
    desk = open_desk(home, single_operator=single_operator, principal=principal, clock=clock)
    try:
        yield desk
    finally:
        desk.ledger.close()


def open_desk(
    home: Home,
    *,
    single_operator: bool = False,
    principal: Principal | None = None,
    clock: Clock | None = None,
) -> Desk:
    """Open the ledger that the settings name (default `HOME/ledger.sqlite`) and bring its tables up to date.

    `single_operator` turns that mode on for this command. Raises RingfenceError (exit 2) where the ledger is a
    server's: other people work there, and one of them can approve.
    """
    from actions.ledger import Ledger
    from actions.model import utc_now

    section = load_settings(home).actions
    where: str | Path = section.ledger or home.ensure().path / LEDGER
    alone = single_operator or section.single_operator
    if alone and "://" in str(where) and not str(where).startswith("sqlite"):
        raise RingfenceError(
            "single-operator mode is for a ledger on one machine, this one is a server's",
            "Have another person approve, or leave actions.single_operator out.",
            exit_code=2,
        )
    rules = section.rules(single_operator=alone)
    ledger = Ledger.open(where, rules, clock or utc_now, password=_password(section))
    ledger.migrate()
    return Desk(home, section, ledger, principal or local_principal())


def _password(section: ActionsSection) -> str | None:
    """The password of the ledger's database. Raises RingfenceError (exit 2)."""
    from api.deciding.people import password_of

    return None if section.ledger_password_file is None else password_of(section.ledger_password_file)


def local_principal() -> Principal:
    """Whoever runs this process on this machine: the system's name for them, which no variable changes."""
    from actions.model import Principal

    return Principal(f"local:{_user()}", LOCAL_ROLES, "local")


def _user() -> str:
    try:
        import pwd
    except ImportError:  # not on this system
        return getpass.getuser()
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def population_of(home: Home, files: RunFiles, *, with_keys: bool = False) -> RunPopulation:
    """One run's members, with what only the facts know."""
    from actions.run_population import RunPopulation
    from api.deciding.usage import Usage

    usage = Usage(home, files, load_pepper())
    more: dict[str, Any] = {"keys": usage.active_keys} if with_keys else {}
    return RunPopulation(
        files,
        unfit=files.manifest.unfit_for_lasting_actions,
        consumption=usage.consumption,
        hits=usage.legitimate_hits,
        **more,
    )


def audit_key() -> Signer:
    """The key that signs the audit's checkpoints. Raises RingfenceError for a file that is no key."""
    from actions.audit import Ed25519Signer, HmacSigner

    named = os.environ.get(AUDIT_KEY)
    if not named:
        return HmacSigner(hmac.digest(load_pepper(), b"ringfence audit", "sha256"))
    try:
        content = Path(named).expanduser().read_bytes().strip()
    except OSError as error:
        raise RingfenceError(
            f"cannot read the audit key {named}: {error.strerror}", f"Correct {AUDIT_KEY}.", exit_code=2
        ) from error
    if not content.startswith(ED25519):
        return HmacSigner(content)
    try:
        return Ed25519Signer(bytes.fromhex(content.removeprefix(ED25519).decode()))
    except ValueError as error:
        raise RingfenceError(
            f"{named} holds no Ed25519 key", "After 'ed25519:' it has 64 hex digits.", exit_code=2
        ) from error
