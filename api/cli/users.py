"""`ringfence users` and `ringfence tokens`: who may sign in, and which scripts may ask."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from api.cli._deeds import ReasonOption, deciding
from api.cli._options import HomeOption, JsonOption, examples, help_if_bare
from api.output import Column, Output, Table, moment, printable
from graph.errors import RingfenceError

ORDER = 89
MOST = 1_000
group = typer.Typer()
people = typer.Typer(help="Who may sign in to 'ringfence serve', and as what.")
people.callback(invoke_without_command=True)(help_if_bare)
group.add_typer(people, name="users")
scripts = typer.Typer(help="Tokens for scripts that use the API.")
scripts.callback(invoke_without_command=True)(help_if_bare)
group.add_typer(scripts, name="tokens")

RolesOption = Annotated[
    list[str],
    typer.Option(
        "--role", metavar="ROLE", help="ingester, viewer, analyst, operator, approver, auditor, admin."
    ),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", metavar="FILE", help="A file whose first line is their password."),
]
AskPassword = Annotated[bool, typer.Option("--ask-password", help="Type their password, twice, unseen.")]
UserArgument = Annotated[str, typer.Argument(metavar="NAME", help="A user's name.")]


@people.command(
    "add",
    epilog=examples(
        "ringfence users add ada --role operator --email ada@example.com",
        "ringfence users add bob --role approver --password-file bob.password",
        "ringfence users add root --role admin --ask-password",
    ),
)
def add_user(
    name: UserArgument,
    role: RolesOption,
    email: Annotated[
        str | None, typer.Option(help="Their address at the identity provider, to sign in there.")
    ] = None,
    password_file: PasswordFile = None,
    ask_password: AskPassword = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Add a person.

    The first admin, too. A password is never an argument, which others could see. Without --email and a password it
    prints a path that opens one session, once.
    """
    from actions.access import passwords, sessions, users
    from api.deciding.people import password_from

    output = Output(as_json)
    given = password_from(password_file, ask=ask_password)
    with deciding(home, output) as desk:
        kept = None if given is None else passwords.hashed(given, name)
        with desk.ledger.transaction() as tx:
            made = users.create(tx, name, role, desk.principal, email=email, password_hash=kept)
            alone = not made.signs_in_with
            invited = sessions.invite(tx, made.user_id, desk.principal) if alone else None
    path = None if invited is None else f"/v1/session/open?token={invited}"
    if as_json:
        output.json({"user_id": made.user_id, "roles": sorted(made.roles), "open": path})
        return 0
    output.line(f"{made.user_id} is {', '.join(sorted(made.roles))}.")
    if path is not None:
        output.line(f"Open once, within a day, at the server's address: {path}")
    return 0


@people.command("list", epilog=examples("ringfence users list", "ringfence users list --json"))
def list_users(home: HomeOption = None, as_json: JsonOption = False) -> int:
    """List users by name."""
    from actions.access import users

    output = Output(as_json)
    with deciding(home, output) as desk, desk.ledger.reading() as reading:
        found = users.listed(reading, limit=MOST)
    if as_json:
        output.json({"users": [{**vars(each), "roles": sorted(each.roles)} for each in found]})
        return 0
    columns = [Column("user", style="cyan"), Column("roles"), Column("signs in with"), Column("disabled")]
    rows = [
        [
            printable(each.user_id),
            ", ".join(sorted(each.roles)),
            ", ".join(each.signs_in_with) or "an invitation",
            moment(each.disabled_at)[:16],
        ]
        for each in found
    ]
    output.table(Table(columns, rows))
    return 0


@people.command("roles", epilog=examples("ringfence users roles ada --role operator --role approver"))
def set_roles(
    name: UserArgument, role: RolesOption, home: HomeOption = None, as_json: JsonOption = False
) -> int:
    """Give a user other roles, from their next request on."""
    from actions.access import users

    output = Output(as_json)
    with deciding(home, output) as desk, desk.ledger.transaction() as tx:
        changed = users.set_roles(tx, f"user:{name}", role, desk.principal)
    if as_json:
        output.json({"user_id": changed.user_id, "roles": sorted(changed.roles)})
    else:
        output.line(f"{changed.user_id} is {', '.join(sorted(changed.roles))}.")
    return 0


@people.command(epilog=examples('ringfence users disable ada --reason "left the company"'))
def disable(
    name: UserArgument, reason: ReasonOption, home: HomeOption = None, as_json: JsonOption = False
) -> int:
    """End a user's sessions and let no new one begin."""
    from actions.access import users

    output = Output(as_json)
    with deciding(home, output) as desk, desk.ledger.transaction() as tx:
        changed = users.disable(tx, f"user:{name}", desk.principal, reason=reason)
    if as_json:
        output.json({"user_id": changed.user_id, "disabled_at": changed.disabled_at})
    else:
        output.line(f"{changed.user_id} cannot sign in any more.")
    return 0


@people.command("enable", epilog=examples('ringfence users enable ada --reason "back again"'))
def enable(
    name: UserArgument, reason: ReasonOption, home: HomeOption = None, as_json: JsonOption = False
) -> int:
    """Let a disabled user in again."""
    from actions.access import users

    output = Output(as_json)
    with deciding(home, output) as desk, desk.ledger.transaction() as tx:
        changed = users.enable(tx, f"user:{name}", desk.principal, reason=reason)
    if as_json:
        output.json({"user_id": changed.user_id, "disabled_at": changed.disabled_at})
    else:
        output.line(f"{changed.user_id} can sign in again.")
    return 0


@people.command(
    "password",
    epilog=examples(
        "ringfence users password ada --ask-password",
        "ringfence users password ada --password-file ada.password",
    ),
)
def set_password(
    name: UserArgument,
    password_file: PasswordFile = None,
    ask_password: AskPassword = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Give a user a new password; their sessions end."""
    from actions.access import passwords, users
    from api.deciding.people import password_from

    output = Output(as_json)
    given = password_from(password_file, ask=ask_password)
    if given is None:
        raise RingfenceError(
            "no password was given", "Use --ask-password or --password-file FILE.", exit_code=2
        )
    with deciding(home, output) as desk:
        kept = passwords.hashed(given, name)
        with desk.ledger.transaction() as tx:
            users.set_password(tx, f"user:{name}", kept, desk.principal)
    if as_json:
        output.json({"user_id": f"user:{name}"})
    else:
        output.line(f"user:{name} has a new password; their sessions have ended.")
    return 0


@people.command("erase", epilog=examples('ringfence users erase ada --reason "request 12"'))
def erase(
    name: UserArgument, reason: ReasonOption, home: HomeOption = None, as_json: JsonOption = False
) -> int:
    """Take a person's name away everywhere.

    The audit keeps what they did, under a name that leads nowhere.
    """
    from actions import erasure
    from actions.access import users

    output = Output(as_json)
    with deciding(home, output) as desk:
        with desk.ledger.transaction() as tx:
            tx.audit("user.erasure_asked", desk.principal, why=reason)
            known_as = users.erase(tx, f"user:{name}", desk.principal)
        erasure.overwrite(desk.ledger)
    if as_json:
        output.json({"known_as": known_as})
    else:
        output.line(f"user:{name} is erased; the audit knows them as {known_as}.")
    return 0


@scripts.command(
    "issue",
    epilog=examples(
        'ringfence tokens issue bouncer --role operator --purpose "blocks at the edge"',
        'ringfence tokens issue intake --role ingester --purpose "the gateway\'s logs" --days 90',
    ),
)
def issue(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that no token had before.")],
    role: RolesOption,
    purpose: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.")],
    days: Annotated[int, typer.Option(min=1, max=90, help="For how long it works.")] = 30,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Issue a token; its secret is printed this once, on a line of its own."""
    from actions.access import tokens

    output = Output(as_json)
    with deciding(home, output) as desk, desk.ledger.transaction() as tx:
        made = tokens.issue(tx, name, role, desk.principal, purpose=purpose, life=timedelta(days=days))
    if as_json:
        output.json(
            {"token_id": made.token.token_id, "expires_at": made.token.expires_at, "secret": made.secret}
        )
        return 0
    output.line(f"token:{name} works until {moment(made.token.expires_at)[:16]} UTC. Its secret, shown once:")
    output.line(made.secret)
    return 0


@scripts.command("list", epilog=examples("ringfence tokens list", "ringfence tokens list --json"))
def list_tokens(home: HomeOption = None, as_json: JsonOption = False) -> int:
    """List tokens in the order in which they were made."""
    from actions.access import tokens

    output = Output(as_json)
    with deciding(home, output) as desk, desk.ledger.reading() as reading:
        found = tokens.listed(reading, limit=MOST)
    if as_json:
        output.json({"tokens": [{**vars(each), "roles": sorted(each.roles)} for each in found]})
        return 0
    columns = [
        Column("token", style="cyan"),
        Column("name"),
        Column("roles"),
        Column("until"),
        Column("ended"),
    ]
    rows = [
        [
            each.token_id,
            each.name,
            ", ".join(sorted(each.roles)),
            moment(each.expires_at)[:16],
            moment(each.ended_at)[:16],
        ]
        for each in found
    ]
    output.table(Table(columns, rows))
    return 0


@scripts.command(epilog=examples('ringfence tokens revoke tok_0198c5a0 --reason "leaked"'))
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="TOKEN", help="A token's id.")],
    reason: ReasonOption,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> int:
    """End a token now."""
    from actions.access import tokens

    output = Output(as_json)
    with deciding(home, output) as desk, desk.ledger.transaction() as tx:
        ended = tokens.revoke(tx, token_id, desk.principal, reason=reason)
    if as_json:
        output.json({"token_id": ended.token_id, "ended_at": ended.ended_at})
    else:
        output.line(f"token:{ended.name} does not work any more.")
    return 0
