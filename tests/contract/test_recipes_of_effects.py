"""The recipes for scripts run: the bouncer against a ledger's feed, the shell scripts as they are printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from actions import waves
from actions.model import Action, Principal
from actions.sinks.command import CommandSink
from actions.sinks.feed import FeedSink, acknowledge, acknowledge_through, pull, state
from tests.contract.desk import ALICE, Desk, request
from tests.contract.test_sinks import effect

pytest_plugins = ("tests.contract.ledgers",)
PAGES = Path(__file__).parents[2] / "docs" / "recipes"
ROBOT = Principal("token:bouncer", frozenset({"operator"}), "token")


@contextmanager
def feed_of(desk: Desk) -> Iterator[str]:
    """The feed and the state of a ledger over HTTP, in the API's form, a few rows a page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            after = int(parse_qs(parts.query).get("after", ["0"])[0])
            with desk.ledger.reading() as reading:
                if parts.path == "/v1/state":
                    self.say(state(reading, after=after, limit=70))
                else:
                    self.say({"items": [each.as_dict() for each in pull(reading, after=after, limit=70)]})

        def do_POST(self) -> None:
            assert self.path == "/v1/effects/acknowledge"
            assert self.headers["Idempotency-Key"]
            wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with desk.ledger.transaction() as tx:
                if "through" in wanted:
                    self.say({"acknowledged": acknowledge_through(tx, wanted["through"], ROBOT)})
                else:
                    self.say({"acknowledged": acknowledge(tx, wanted["effect_ids"], ROBOT)})

        def say(self, answer: dict[str, Any]) -> None:
            content = json.dumps(answer).encode()
            self.send_response(200 if self.headers["Authorization"] == "Bearer rf_x" else 401)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join(5)
    server.server_close()


def bouncer(url: str, folder: Path) -> dict[str, Any]:
    """The page's program, in a folder of its own."""
    (block,) = re.findall(r"```python\n(.*?)```", (PAGES / "bouncer.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "bouncer"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("RINGFENCE_URL", url)
        patch.setenv("RINGFENCE_TOKEN", "rf_x")
        exec(compile(block, "bouncer.md", "exec"), names)  # noqa: S102  # that is what the page is for
    return names


def test_the_bouncer_starts_follows_and_acknowledges(desk: Desk, tmp_path: Path) -> None:
    desk.sink = FeedSink(acknowledged=True)
    first = desk.plan(request(Action.THROTTLE))
    waves.apply(desk.ledger, first.plan_id, ALICE, desk.people)
    desk.run()
    with feed_of(desk) as url:
        names = bouncer(url, tmp_path)
        names["start"]()
        desk.run()
        assert desk.tally(first) == {"applied": 200}
        assert names["restrictions"]("org_00199") == ["throttle"]
        assert names["step"]() == 0
        second = desk.plan(request(Action.VERIFY))
        waves.apply(desk.ledger, second.plan_id, ALICE, desk.people)
        desk.run()
        assert [names["step"]() for _ in range(4)] == [70, 70, 60, 0]
        assert names["restrictions"]("org_00000") == ["throttle", "verify"]
        assert names["restrictions"]("org_unknown") == []
        names["db"].close()
        again = bouncer(url, tmp_path)
        again["start"]()
        assert again["step"]() == 0
        again["db"].close()
    desk.run()
    assert desk.tally(second) == {"applied": 200}


def shell(page: str, name: str, folder: Path) -> Path:
    """A script of a page, ready to run."""
    scripts = dict(
        re.findall(r"<!-- file: (\S+) -->\n```sh\n(.*?)```", (PAGES / page).read_text(), re.DOTALL)
    )
    path = folder / name
    path.write_text(scripts[name])
    path.chmod(0o700)
    return path


def test_the_script_for_each_effect_keeps_the_highest_generation(tmp_path: Path) -> None:
    shell("cron.md", "block.sh", tmp_path)
    sink = CommandSink(["./block.sh"], tmp_path)

    def named(generation: int, action: str) -> Any:
        return replace(effect(1, generation, action), org_id="org_1")

    for batch in ([named(1, "ban"), named(3, "restore")], [named(2, "ban")], [named(3, "restore")]):
        assert [each.outcome for each in sink.deliver(batch)] == ["applied"] * len(batch)
    assert (tmp_path / "blocked" / "org_1").read_text() == "3 restore\n"


@pytest.mark.parametrize(
    ("planned", "applied", "code"),
    [(0, 0, 0), (3, 9, 0), (2, 9, 2), (0, 4, 0), (0, 5, 0), (0, 6, 6), (0, 7, 7), (0, 1, 1)],
)
def test_the_cron_script_passes_exit_codes_on(tmp_path: Path, planned: int, applied: int, code: int) -> None:
    script = shell("cron.md", "contain.sh", tmp_path)
    stand_in = f"""#!/bin/sh
echo "$*" >> calls
case $1 in
plan) echo '{{"plan_id": "plan_1", "size": 7}}'; exit {planned} ;;
apply) exit {applied} ;;
esac
"""
    for name, text in (("ringfence", stand_in), ("logger", "#!/bin/sh\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o700)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([script], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == code
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[0].startswith("plan --query members_not_acted_on --action throttle")
    assert calls[1:] == (["apply plan_1 --json"] if planned == 0 else [])
