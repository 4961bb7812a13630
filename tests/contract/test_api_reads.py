"""What people read over HTTP, on a small campaign: the same that the commands say."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_server import Served, campaign_home, pepper_of, peppered, serve, served_campaign

from api.answers import pairs
from api.answers.reading import RunReader
from api.services import detect, ingest_files


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_campaign(tmp_path_factory.getbasetemp()) as found:
        yield found


@pytest.fixture(scope="module")
def viewer(served: Served) -> Iterator[httpx.Client]:
    with served.client("viewer") as client:
        yield client


@pytest.fixture(scope="module")
def run(served: Served) -> RunReader:
    return RunReader.open(served.home, None)


@pytest.fixture(scope="module")
def cluster(viewer: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = ok(viewer.get("/v1/clusters"))["items"][0]
    return found


def ok(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def pages(client: httpx.Client, path: str, **parameters: Any) -> Iterator[dict[str, Any]]:
    after: str | None = None
    while True:
        page = ok(client.get(path, params={**parameters, **({"after": after} if after else {})}))
        yield from page["items"]
        after = page["next"]
        if after is None:
            return


@pytest.mark.parametrize(("sort", "column"), [("risk", "risk"), ("size", "size"), ("change", "new_24h")])
def test_clusters_come_in_order_each_once_on_pages(
    viewer: httpx.Client, run: RunReader, sort: str, column: str
) -> None:
    found = list(pages(viewer, "/v1/clusters", sort=sort, limit=2))
    assert sorted(each["cluster_id"] for each in found) == sorted(
        run.table("clusters")["cluster_id"].to_pylist()
    )
    values = [each[column] for each in found]
    assert values == sorted(values, reverse=True)


def test_clusters_are_filtered_and_counted(viewer: httpx.Client, run: RunReader) -> None:
    sizes = run.table("clusters")["size"].to_pylist()
    page = ok(viewer.get("/v1/clusters", params={"min_size": 5, "limit": 1}))
    assert page["total"] == sum(size >= 5 for size in sizes)
    assert ok(viewer.get("/v1/clusters", params={"q": "no such beginning"}))["items"] == []


def test_a_cursor_is_of_its_list_alone(viewer: httpx.Client) -> None:
    cursor = ok(viewer.get("/v1/clusters", params={"limit": 1}))["next"]
    for asked in ({"after": cursor, "sort": "size"}, {"after": cursor[:-2] + "AA"}, {"after": "x"}):
        refused = viewer.get("/v1/clusters", params=asked)
        assert refused.status_code == 422
        assert refused.json()["code"] == "bad_cursor"


def test_the_rows_of_a_score_add_up(viewer: httpx.Client, cluster: dict[str, Any]) -> None:
    detail = ok(viewer.get(f"/v1/clusters/{cluster['cluster_id']}"))
    assert detail["cluster"] == cluster
    assert sum(each["points"] for each in detail["evidence"]) == pytest.approx(cluster["points"])
    assert cluster["cost"].count(".") == 1


def test_members_come_riskiest_first_each_once(viewer: httpx.Client, cluster: dict[str, Any]) -> None:
    path = f"/v1/clusters/{cluster['cluster_id']}/members"
    found = list(pages(viewer, path, limit=3))
    assert len({each["org_id"] for each in found}) == len(found) == cluster["size"]
    assert found == sorted(found, key=lambda each: (-each["member_risk"], each["org_id"]))
    actionable = list(pages(viewer, path, limit=3, actionable="true"))
    assert actionable == [each for each in found if each["actionable"]]


def test_evidence_names_organizations_and_masks_values(
    viewer: httpx.Client, run: RunReader, cluster: dict[str, Any]
) -> None:
    cluster_id = cluster["cluster_id"]
    found = list(pages(viewer, f"/v1/clusters/{cluster_id}/evidence", limit=7))
    mine = [each for each in run.rows("evidence_rows") if each["cluster_id"] == cluster_id]
    assert len(found) == len(mine) > 0
    one = found[0]["signal"]
    of_one = list(pages(viewer, f"/v1/clusters/{cluster_id}/evidence", signal=one))
    assert of_one == [each for each in found if each["signal"] == one]


def test_the_subgraph_is_columnar_compressed_and_tagged(
    viewer: httpx.Client, cluster: dict[str, Any]
) -> None:
    path = f"/v1/clusters/{cluster['cluster_id']}/subgraph"
    with viewer.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as answer:
        packed = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    plain = viewer.get(path, headers={"Accept-Encoding": "identity"})
    assert gzip.decompress(packed) == plain.content
    body = plain.json()
    for table in ("organizations", "identifiers", "relationships"):
        assert len({len(column) for column in body[table].values()}) == 1
    assert len(body["organizations"]["org_id"]) == cluster["size"]
    assert max(body["relationships"]["target"]) < len(body["identifiers"]["key"])
    assert all(key == key.lower() and len(key) == 32 for key in body["identifiers"]["key"])
    tag = plain.headers["etag"]
    again = viewer.get(path, headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content) == (304, b"")


def test_the_timeline_counts_every_member(viewer: httpx.Client, cluster: dict[str, Any]) -> None:
    for unit in ("day", "hour"):
        found = ok(viewer.get(f"/v1/clusters/{cluster['cluster_id']}/timeline", params={"unit": unit}))
        assert sum(each["appeared"] for each in found["buckets"]) == cluster["size"]
        assert [each["at"] for each in found["buckets"]] == sorted(each["at"] for each in found["buckets"])


def test_lineage_says_when_a_cluster_was_born(viewer: httpx.Client, cluster: dict[str, Any]) -> None:
    found = ok(viewer.get(f"/v1/clusters/{cluster['cluster_id']}/lineage"))
    assert found["alive"]
    assert [each["change"] for each in found["changes"]] == ["born"]


def test_why_agrees_with_the_command(viewer: httpx.Client, run: RunReader) -> None:
    ties = run.rows("ties")
    apart = [(ties[0]["a"], tie["b"]) for tie in ties[1:40:4]]
    for a, b in [(tie["b"], tie["a"]) for tie in ties[:40:5]] + apart:
        said = ok(viewer.get("/v1/why", params={"a": a, "b": b}))
        expected = pairs.pair(run, a, b)
        assert len(said["path"]) == len(expected.path)
        assert {each["key"] for each in said["common"]} == {each.key for each in expected.common}
        if len(expected.path) == 1:
            reasons = [(each["kind"], each["key"], each["weight"]) for each in said["path"][0]["reasons"]]
            assert sorted(reasons) == sorted(
                (each.kind, each.key, each.weight) for each in expected.path[0].reasons
            )


def test_why_tells_who_used_what_when(viewer: httpx.Client, run: RunReader) -> None:
    row = next(each for each in run.rows("reasons") if each["a_at"] and each["a_at"] != each["b_at"])
    said = {
        (a, b): ok(viewer.get("/v1/why", params={"a": a, "b": b}))["path"][0]
        for a, b in ((row["a"], row["b"]), (row["b"], row["a"]))
    }
    for (a, b), tie in said.items():
        assert (tie["a"], tie["b"]) == (a, b)
    there, back = (next(r for r in tie["reasons"] if r["kind"] == row["kind"]) for tie in said.values())
    assert (there["a_at"], there["b_at"]) == (back["b_at"], back["a_at"])


def test_why_of_one_shows_its_strongest_ties(viewer: httpx.Client, run: RunReader) -> None:
    organization = run.rows("ties")[0]["a"]
    expected = pairs.one(run, organization)
    said = ok(viewer.get("/v1/why", params={"a": organization}))
    assert said["total"] == expected.total
    assert [tie["weight"] for tie in said["path"]] == [tie.weight for tie in expected.ties]


def test_organizations_by_exact_id(viewer: httpx.Client, run: RunReader) -> None:
    rows = run.rows("organizations")[:3]
    for row in rows:
        found = ok(viewer.get(f"/v1/organizations/{row['org_id']}"))
        assert (found["org_id"], found["cluster_id"]) == (row["org_id"], row["cluster_id"])
        assert found["cost"] == f"{row['cost']:.6f}"
    ids = [row["org_id"] for row in rows]
    page = ok(viewer.post("/v1/organizations/find", json={"org_ids": [*ids, "no/such", ids[0]]}))
    assert [each["org_id"] for each in page["items"]] == ids
    missing = viewer.get("/v1/organizations/no-such")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


def test_search_expand_and_an_identifier_lead_to_each_other(viewer: httpx.Client, run: RunReader) -> None:
    organization = run.rows("ties")[0]["a"]
    found = ok(viewer.get("/v1/search", params={"q": organization}))
    assert found["items"][0]["organizations"] == [organization]
    around = ok(viewer.get("/v1/expand", params={"node": f"org:{organization}"}))
    with_leaves = ok(viewer.get("/v1/expand", params={"node": f"org:{organization}", "leaves": "true"}))
    assert with_leaves["total"] > around["total"]
    shared = next(each for each in around["nodes"] if each["label"] not in ("Cluster", "Organization"))
    uses = ok(viewer.get(f"/v1/identifiers/{shared['label']}/{shared['key']}"))
    assert organization in uses["organizations"]
    assert uses["total"] == uses["identifier"]["degree"] == shared["degree"]
    assert viewer.get("/v1/expand", params={"node": "Nothing:x"}).status_code == 422
    assert viewer.get("/v1/expand", params={"node": "Ip:x", "type": "NO"}).status_code == 422


def test_identifiers_are_masked_until_they_are_revealed_for_a_reason(served: Served, run: RunReader) -> None:
    with served.client("viewer") as viewer, served.client("analyst") as analyst:
        around = ok(viewer.get("/v1/expand", params={"node": f"org:{run.rows('ties')[0]['a']}"}))
        masked = next(each for each in around["nodes"] if each["label"] in ("Ip", "Device", "Email"))
        path = f"/v1/identifiers/{masked['label']}/{masked['key']}"
        assert "•••" in ok(viewer.get(path))["identifier"]["value"]
        assert "•••" in ok(analyst.get(path))["identifier"]["value"]
        assert viewer.post(f"{path}/reveal", json={"reason": "curious"}).status_code == 403
        assert analyst.post(f"{path}/reveal", json={"reason": " "}).status_code == 422
        assert not served.audit.entries
        clear = ok(analyst.post(f"{path}/reveal", json={"reason": "case 4711"}))["value"]
        assert "•••" not in clear
        assert served.audit.entries.pop()[1:3] == ("identifier_revealed", "case 4711")
        clear_text = viewer.get("/v1/clusters", params={"q": clear}).text + viewer.get(path).text
        assert clear not in clear_text


def test_runs_signals_detectors(viewer: httpx.Client, run: RunReader) -> None:
    listed = ok(viewer.get("/v1/runs"))["items"]
    assert [each["run_id"] for each in listed if each["current"]] == [run.run_id]
    detail = ok(viewer.get("/v1/runs/current"))
    assert detail["manifest"]["run_id"] == run.run_id
    assert viewer.get("/v1/runs/run_none").status_code == 404
    signals = ok(viewer.get("/v1/signals"))["items"]
    speaking = {row["signal"] for row in run.rows("evidence") if row["points"]}
    assert {each["signal"] for each in signals} == speaking
    assert ok(viewer.get("/v1/detectors"))["total"] > 10


def test_every_named_query_runs_with_its_example(viewer: httpx.Client) -> None:
    for query in ok(viewer.get("/v1/queries"))["items"]:
        assert ok(viewer.get(f"/v1/queries/{query['name']}")) == query
        answer = ok(viewer.post(f"/v1/queries/{query['name']}/run", json={"parameters": query["example"]}))
        assert answer["columns"] == [each["name"] for each in query["columns"]]


@pytest.mark.parametrize(
    "parameters",
    [{"limit": 10_001}, {"nonsense": 1}, {"min_clusters": "many"}, {"limit": -1}, {"limit": True}],
)
def test_parameters_of_queries_are_checked(viewer: httpx.Client, parameters: dict[str, Any]) -> None:
    refused = viewer.post("/v1/queries/shared_addresses/run", json={"parameters": parameters})
    assert refused.status_code == 422, refused.text
    assert refused.json()["remedy"]


def test_exports_are_streamed_audited_and_leave_nothing(served: Served, run: RunReader) -> None:
    with served.client("auditor") as auditor, served.client("viewer") as viewer:
        assert viewer.get("/v1/exports/members").status_code == 403
        for form in ("csv", "json", "parquet"):
            answer = auditor.get("/v1/exports/members", params={"format": form})
            assert answer.status_code == 200
            assert answer.headers["content-disposition"] == f'attachment; filename="members.{form}"'
            assert served.audit.entries.pop()[1] == "exported"
        rows = auditor.get("/v1/exports/clusters").text.splitlines()
        assert len(rows) == run.count("clusters") + 1
        assert auditor.get("/v1/exports/members", params={"cluster_id": "cl_aaaaaaaaaa"}).status_code == 404
        served.audit.entries.clear()
    assert list((served.home.path / "spool").glob("*")) == []


def test_a_new_run_is_served_without_a_restart(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path / "api-home"
    campaign = campaign_home(tmp_path_factory.getbasetemp())
    shutil.copytree(campaign, home)
    shutil.copy(pepper_of(campaign), pepper_of(home))
    event = {"event_type": "inference", "occurred_at": "2026-10-01T01:00:00Z", "org_id": "org_new"}
    (tmp_path / "later.ndjson").write_text(json.dumps(event))
    with peppered(home), serve(home) as found, found.client("viewer") as client:
        before = ok(client.get("/readyz"))["run_id"]
        tie = RunReader.open(found.home, None).rows("ties")[0]
        asked = {"a": tie["a"], "b": tie["b"]}
        assert ok(client.get("/v1/why", params=asked))["run_id"] == before
        ingest_files(found.home, [str(tmp_path / "later.ndjson")])
        now = detect(found.home)["run_id"]
        assert ok(client.get("/readyz"))["run_id"] == now != before
        assert client.get("/v1/organizations/org_new").status_code == 200
        answers = (ok(client.get("/v1/why", params=asked))["run_id"] for _ in range(5_000))
        assert next(run_id for run_id in answers if run_id != before) == now


def test_nothing_published_is_said(tmp_path: Path) -> None:
    with peppered(tmp_path / "home"), serve(tmp_path / "home") as found, found.client("viewer") as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        for path in ("/readyz", "/v1/clusters", "/v1/why?a=x", "/v1/runs", "/v1/search?q=x"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
        made = {each.name for each in (tmp_path / "home").iterdir()}
        assert {name.split("-")[0] for name in made} == {
            "ledger.sqlite"
        }  # users live there, so serving makes it
