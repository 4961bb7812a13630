"""The commands that act: from a preview to a restore, with the exit codes that scripts see."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actions.model import Principal
from api.cli import invoke
from api.deciding import desk as desks
from graph.home import Home
from tests.unit.campaign_ring import ACTIONABLE, RING

pytest_plugins = ("tests.unit.campaigns",)


@pytest.fixture
def home(campaign_home: Home) -> Home:
    """The campaign."""
    return campaign_home


Ask = Callable[..., tuple[int, Any, str]]
REASON = ("--reason", "they burn credit")
BAN = ("plan", RING, "--action", "ban", *REASON)
THROTTLE = ("plan", RING, "--action", "throttle", "--for", "6h", *REASON)


@pytest.fixture
def ask(home: Home, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a command with --json: its exit code, what it answered, what it complained about."""

    def asking(*words: str) -> tuple[int, Any, str]:
        code = invoke([*words, "--json", "--home", str(home.path)])
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else None, said.err

    return asking


@pytest.fixture
def read(home: Home, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command says to people."""

    def reading(*words: str) -> str:
        invoke([*words, "--home", str(home.path)])
        said = capsys.readouterr()
        return said.out + said.err

    return reading


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Be another person from now on."""

    def becoming(name: str) -> None:
        principal = Principal(f"local:{name}", desks.LOCAL_ROLES, "local")
        monkeypatch.setattr(desks, "local_principal", lambda: principal)

    becoming("amy")
    return becoming


def refusal(err: str) -> dict[str, Any]:
    """The last problem on stderr."""
    found: dict[str, Any] = json.loads(err.strip().splitlines()[-1])
    return found


def test_a_preview_is_the_plan_and_writes_nothing(ask: Ask) -> None:
    code, seen, _ = ask(*THROTTLE, "--preview")
    assert code == 0
    assert (seen["size"], sum(seen["spared"].values())) == (ACTIONABLE, 1)
    assert seen["spending_24h"] > 0
    assert ask("plans")[1]["plans"] == []
    _, made, _ = ask(*THROTTLE)
    assert made["digest"] == seen["digest"]
    assert made["spending_24h"] == seen["spending_24h"]


def test_containment_needs_nobody_and_is_recorded(ask: Ask) -> None:
    ask(*THROTTLE)
    code, done, _ = ask("apply", "latest")
    assert (code, done["state"], done["members"]) == (0, "completed", {"applied": ACTIONABLE, "spared": 1})
    _, found, _ = ask("query", "run", "members_of_cluster", "-p", f"cluster_id={RING}")
    assert [row["status"] for row in found["rows"]].count("throttle") == ACTIONABLE
    _, state, _ = ask("effects", "state")
    assert len(state["restricted"]) == ACTIONABLE
    assert ask("run", "--store", "none")[1]["counts"]["events"] > ACTIONABLE


def test_applied_effects_are_events_once(ask: Ask, home: Home) -> None:
    from graph.facts import FactsReader

    before = FactsReader(home).rows()
    ask(*THROTTLE)
    ask("apply", "latest")
    ask("undo", "latest", "--reason", "a load test of ours")
    assert FactsReader(home).rows() == before + 2 * ACTIONABLE
    (home.path / "records.json").unlink()
    ask(*THROTTLE)
    ask("apply", "latest")
    assert FactsReader(home).rows() == before + 3 * ACTIONABLE


def test_nothing_is_written_about_the_erased(ask: Ask, home: Home) -> None:
    from actions import erasure
    from graph.facts import FactsReader

    before = FactsReader(home).rows()
    _, made, _ = ask(*THROTTLE)
    with desks.opened(home) as desk, desk.ledger.transaction() as tx:
        erasure.erase_organization(tx, made["weakest"][0]["org_id"], desk.principal)
    ask("apply", "latest")
    assert FactsReader(home).rows() == before + ACTIONABLE - 1


def test_a_ban_takes_another_person(ask: Ask, become: Callable[[str], None]) -> None:
    code, made, _ = ask(*BAN)
    assert (code, made["needs"]) == (4, "approval")
    code, _, err = ask("apply", "latest")
    assert (code, refusal(err)["code"]) == (4, "awaiting_approval")
    code, _, err = ask("approve", "latest", "--digest", made["digest"])
    assert (code, refusal(err)["code"]) == (1, "own_plan")
    become("bob")
    code, shown, _ = ask("approve", made["plan_id"])
    assert (code, shown["approvals_missing"]) == (4, 1)
    code, _, err = ask("approve", "latest", "--digest", "0" * 64)
    assert (code, refusal(err)["code"]) == (1, "digest_mismatch")
    assert ask("approve", "latest", "--digest", made["digest"][:16])[0] == 0
    code, done, _ = ask("apply", "latest")
    assert (code, done["state"]) == (0, "completed")
    assert done["members"] == {"applied": ACTIONABLE, "spared": 1}


def test_one_person_alone_types_the_count_and_everybody_sees_it(ask: Ask, read: Callable[..., str]) -> None:
    ask(*BAN)
    assert ask("approve", "latest", "--single-operator", "--count", "24")[0] == 2
    assert ask("approve", "latest", "--single-operator", "--count", str(ACTIONABLE))[0] == 0
    assert ask("apply", "latest", "--single-operator")[0] == 0
    assert "their own plan (single-operator mode)" in read("plans", "latest")
    verbs = [each["content"]["verb"] for each in ask("audit", "list")[1]["entries"]]
    assert "plan.self_approved" in verbs


def test_approving_alone_begins_a_hold(ask: Ask, home: Home) -> None:
    home.settings_file.write_text("[ingest]\nworkers = 0\n")
    ask(*BAN)
    ask("approve", "latest", "--single-operator", "--count", str(ACTIONABLE))
    code, _, err = ask("apply", "latest", "--single-operator")
    assert code == 1
    assert "waits until" in refusal(err)["message"]


def test_a_servers_ledger_is_for_several_people(ask: Ask, home: Home) -> None:
    home.settings_file.write_text('[actions]\nledger = "postgresql+psycopg://nobody@127.0.0.1:1/none"\n')
    code, _, err = ask("approve", "latest", "--single-operator", "--count", "1")
    assert code == 2
    assert "single-operator" in refusal(err)["message"]


def test_apply_returns_when_a_hold_begins_and_goes_on_later(ask: Ask, home: Home) -> None:
    home.settings_file.write_text(
        "[ingest]\nworkers = 0\n[actions.lasting]\nsingle_operator_hold = 0\n[actions.waves]\nholds = [600, 600]\n"
    )
    ask(*BAN)
    ask("approve", "latest", "--single-operator", "--count", str(ACTIONABLE))
    code, done, _ = ask("apply", "latest", "--single-operator")
    assert (code, done["state"], done["holding"], done["members"]["applied"]) == (0, "executing", True, 1)
    assert ask("pause", "latest", "--reason", "complaints")[0] == 0
    assert ask("apply", "latest")[0] == 6
    assert ask("plans", "latest")[0] == 6
    assert ask("resume", "latest", "--reason", "about something else")[0] == 0
    assert ask("apply", "latest")[1]["holding"]
    assert ask("abort", "latest", "--reason", "wrong cluster")[0] == 0
    assert ask("plans", "latest")[0] == 1


def test_a_plan_about_what_changed_is_stale(ask: Ask) -> None:
    _, made, _ = ask(*BAN)
    ask(*THROTTLE)
    ask("apply", "latest")
    ask("approve", made["plan_id"], "--single-operator", "--count", str(ACTIONABLE))
    code, _, err = ask("apply", made["plan_id"], "--single-operator")
    assert (code, refusal(err)["code"]) == (5, "stale")
    assert refusal(err)["moved"] == ACTIONABLE


def test_undo_of_a_plan_and_by_cause(ask: Ask) -> None:
    ask(*THROTTLE)
    ask("apply", "latest")
    code, undone, _ = ask("undo", "latest", "--reason", "a load test of ours")
    assert (code, undone["members"]) == (0, {"applied": ACTIONABLE})
    assert ask("effects", "state")[1]["restricted"] == []
    code, _, err = ask("undo", "--because", "signal:shared_phone", "--reason", "a library's phone")
    assert (code, refusal(err)["code"]) == (3, "nothing_to_do")
    ask(*THROTTLE)
    ask("apply", "latest")
    assert ask("undo", "--because", "signal:shared_phone", "--reason", "a library's phone")[0] == 0
    assert ask("undo", "--reason", "nothing named")[0] == 2


def test_a_cluster_can_be_restored(ask: Ask) -> None:
    restore = ("plan", RING, "--action", "restore", *REASON)
    assert ask(*restore)[0] == 3
    ask(*THROTTLE)
    ask("apply", "latest")
    assert ask(*restore)[1]["size"] == ACTIONABLE
    assert ask("apply", "latest")[1]["members"] == {"applied": ACTIONABLE}


@pytest.mark.parametrize("form", ["lines", "csv", "ndjson", "words"])
def test_members_can_be_named(ask: Ask, form: str) -> None:
    _, seen, _ = ask(*THROTTLE, "--preview")
    ids = [each["org_id"] for each in seen["sample"]][:3]
    written = {
        "lines": "\n".join(ids) + "\n",
        "csv": "x,org_id\n" + "".join(f"1,{each}\n" for each in ids),
        "ndjson": "".join(json.dumps({"org_id": each}) + "\n" for each in ids),
    }
    name = ",".join(ids)
    if form in written:
        Path("ids.txt").write_text(written[form])
        name = "ids.txt"
    code, seen, _ = ask("plan", "--members", name, "--action", "verify", *REASON, "--preview")
    assert (code, seen["size"]) == (0, 3)


def test_a_query_names_members_up_to_its_limit(ask: Ask) -> None:
    query = (
        "plan",
        "--query",
        "members_of_cluster",
        "-p",
        f"cluster_id={RING}",
        "--action",
        "verify",
        *REASON,
    )
    code, seen, err = ask(*query, "-p", "limit=5", "--preview")
    assert (code, seen["size"] + sum(seen["spared"].values()), err) == (0, 5, "")
    loose = ("plan", "--query", "members_not_acted_on", "--action", "verify", *REASON)
    code, seen, err = ask(*loose, "--preview")
    assert (code, seen["size"] + sum(seen["spared"].values())) == (0, 50)
    assert "stops at its limit of 50" in err
    assert ask(*query)[1]["size"] == ACTIONABLE
    assert ask("plan", "--query", "referral_loops", "--action", "verify", *REASON)[0] == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("plan", "--action", "ban", *REASON), 2),
        (("plan", RING, "--members", "a", "--action", "ban", *REASON), 2),
        (("plan", RING, "--action", "delete", *REASON), 2),
        (("plan", RING, "--action", "throttle", "--for", "13h", *REASON), 2),
        (("plan", RING, "--action", "throttle", "--for", "soon", *REASON), 2),
        (("plan", RING, "--action", "throttle", "--permanent", *REASON), 2),
        (("plan", RING, "--action", "ban", "--reason", "  "), 2),
        (("plan", RING, "--action", "ban", "--sink", "nowhere", *REASON), 2),
        (("plan", RING, "--action", "ban", "--public-reason", "nope", *REASON), 2),
        (("plan", "cl_nowhere222", "--action", "ban", *REASON), 3),
        (("plan", "--members", "org_nobody", "--action", "ban", *REASON), 3),
        (("plan", "--entity", "domain:", "--action", "deny_signup", *REASON), 2),
        (("plan", "--entity", "planet:mars", "--action", "deny_signup", *REASON), 2),
        (("plan", "--entity", "network:x", "--action", "deny_signup", *REASON), 2),
        (("plan", RING, "--entity", "domain:a.example", "--action", "deny_signup", *REASON), 2),
        (("apply", "latest"), 2),
        (("apply", "plan_unknown"), 2),
        (("approve", "latest"), 2),
    ],
)
def test_misuse_is_refused(ask: Ask, words: tuple[str, ...], code: int) -> None:
    found, _, err = ask(*words)
    assert found == code
    assert refusal(err)["message"]
    assert ask("plans")[1]["plans"] == []


def test_an_entity_is_previewed_by_whom_it_would_hit(ask: Ask) -> None:
    code, narrow, _ = ask("plan", "--entity", "domain:nobody.example", "--action", "deny_signup", *REASON)
    assert (code, narrow["legitimate_hits"], narrow["needs"]) == (0, 0, "nothing")
    wide = ("plan", "--entity", "network:0.0.0.0/0", "--action", "challenge", *REASON)
    code, broad, _ = ask(*wide)
    assert (code, broad["needs"]) == (4, "elevated")
    assert broad["legitimate_hits"] > 1_000


def test_an_appeal_restores_labels_and_keeps_apart(ask: Ask) -> None:
    _, made, _ = ask(*THROTTLE)
    ask("apply", "latest")
    org = made["weakest"][0]["org_id"]
    assert ask("appeal", "open", org, "--statement", "we teach")[0] == 0
    assert ask("appeal", "open", org, "--statement", "we teach")[0] == 1
    told = ask("statement", org)[1]
    assert len(told["restrictions"]) == 1
    assert RING not in json.dumps(told)
    code, decided, _ = ask("appeal", "grant", "latest", "--reason", "called them")
    assert (code, decided["state"]) == (0, "granted")
    assert ask("statement", org)[1]["restrictions"] == []
    ask("run", "--store", "none")
    _, one, _ = ask("why", org)
    assert one["organization"]["cluster_id"] != RING or not one["organization"]["actionable"]


def test_a_protection_takes_hold_before_the_next_run(ask: Ask) -> None:
    _, seen, _ = ask(*THROTTLE, "--preview")
    org = seen["sample"][0]["org_id"]
    ask("protect", org, "--reason", "our own")
    _, seen, _ = ask(*THROTTLE, "--preview")
    assert seen["size"] == ACTIONABLE - 1
    assert seen["spared"]["protected: our own"] == 1
    ask("protect", org, "--end", "--reason", "sold")
    assert ask(*THROTTLE, "--preview")[1]["size"] == ACTIONABLE


def test_the_audit_shows_what_was_changed(ask: Ask) -> None:
    ask(*THROTTLE)
    ask("apply", "latest")
    assert ask("audit", "verify")[1]["intact"]
    ask("audit", "export", "-o", "audit.ndjson")
    code, found, _ = ask("audit", "verify", "audit.ndjson")
    assert (code, found["signed_up_to"]) == (0, found["entries"])
    text = Path("audit.ndjson").read_text()
    Path("audit.ndjson").write_text(text.replace("they burn credit", "they burn nothing", 1))
    code, found, _ = ask("audit", "verify", "audit.ndjson")
    assert (code, found["intact"]) == (1, False)
    assert ask("audit", "verify", "nowhere.ndjson")[0] == 2


def test_outputs_fit_eighty_columns(read: Callable[..., str]) -> None:
    for words in ((*THROTTLE, "--preview"), BAN, ("plans",), ("plans", "latest", "--members", "5")):
        said = [line for line in read(*words).splitlines() if not line.startswith(("Next", "To approve"))]
        assert max(len(line) for line in said) <= 100
        assert "organizations" in said[0] or words == ("plans",)


def test_the_kill_switch_stops_what_restricts_and_nothing_else(ask: Ask) -> None:
    ask(*THROTTLE)
    ask("apply", "latest")
    _, made, _ = ask(*THROTTLE[:3], "verify", *REASON)
    assert ask("halt", "--reason", "we hit customers")[0] == 0
    code, _, err = ask("apply", made["plan_id"])
    assert (code, refusal(err)["code"]) == (6, "kill_switch")
    assert "the kill switch is on for all" in err
    ask("plan", RING, "--action", "restore", *REASON)
    assert ask("apply", "latest")[1]["members"] == {"applied": ACTIONABLE}
    assert ask("halt", "--end", "--reason", "it was another system")[0] == 0
    assert ask("halt", "--only", "everybody", "--reason", "typo")[0] == 2


def test_an_incident_takes_two(ask: Ask, become: Callable[[str], None], read: Callable[..., str]) -> None:
    assert ask("incident", "confirm")[0] == 3
    assert ask("incident", "declare", "--reason", "20,000 farms", "--hours", "2")[1]["state"] == "proposed"
    assert ask("incident", "confirm")[0] == 1
    become("bob")
    assert ask("incident", "confirm")[1]["state"] == "active"
    assert "an incident is declared" in read("plans")
    assert ask("incident", "end", "--reason", "over")[1]["state"] == "ended"
    assert "an incident is declared" not in read("plans")


def test_a_worker_does_what_was_started(ask: Ask, home: Home) -> None:
    import threading

    from api.deciding import working

    ask(*THROTTLE)
    assert ask("apply", "latest", "--no-work")[1]["members"] == {"pending": ACTIONABLE, "spared": 1}
    stop = threading.Event()
    with desks.opened(home) as desk:
        plan_id = desk.plan("latest").plan_id
        thread = threading.Thread(target=working.run, args=(desk, stop))
        thread.start()
        while working.at_rest(desk, plan_id).plan.state == "executing":
            stop.wait(0.05)
        stop.set()
        thread.join()
        assert working.at_rest(desk, plan_id).tally == {"applied": ACTIONABLE, "spared": 1}
