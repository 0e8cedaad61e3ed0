"""The server answers its own page on its own machine, and tells everybody else why it does not."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from workbench.conftest import VIEWS, asked

from analyses.clusters import neuron_freq_norm
from analyses.workbench.jobs import Jobs, Progress
from analyses.workbench.server import MAX_REQUEST, create_app, serve
from analyses.workbench.shelf import NoRuns
from analyses.workbench.sources import Sources, loaded, stat_of
from artifact_store import Run
from artifact_store.stamps import read_stamp

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>'
NORM = "analyses.clusters:neuron_freq_norm"


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def client(analysed: Path) -> Iterator[FlaskClient]:
    """Asks a workbench that is served on this machine."""
    with client_of(analysed) as client:
        yield client


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The jobs that were asked for; none is started."""
    calls: list[tuple[Any, ...]] = []

    def start(jobs: Jobs, run: Path, analyses: Any, epoch: int | None) -> Progress:
        calls.append((run, analyses, epoch))
        return Progress(0, run.name, analyses, epoch, "running")

    monkeypatch.setattr(Jobs, "start", start)
    return calls


class client_of:
    """A client of the workbench of a folder, as long as it is served."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        app = create_app(folder, Jobs(), loaded())
        self.server = serve(app, host, 0)
        self.client: FlaskClient = app.server.test_client()

    def __enter__(self) -> FlaskClient:
        return self.client

    def __exit__(self, *_: Any) -> None:
        self.server.server_close()


def export(kind: str, drawn: bytes | None = None, **wanted: Any) -> dict[str, Any]:
    content: dict[str, Any] = {"kind": kind, "wanted": asked("neuron_clusters", **wanted)}  # fmt: skip
    if drawn is not None:
        content["drawn"] = base64.b64encode(drawn).decode()
    return content


def drawn_from(client: FlaskClient, content: dict[str, Any]) -> dict[str, Any]:
    """An export of what the page shows now."""
    shown = client.post("/picture", json=content["wanted"]).get_json()
    return content | {"keys": shown.get("keys")}


def error_of(answer: Any) -> str:
    found: str = answer.get_json()["error"]
    return found


# ---- what the page asks for


def test_a_picture_is_a_figure(client: FlaskClient) -> None:
    answer = client.post("/picture", json=asked("neuron_clusters"))

    assert answer.status_code == 200 and answer.mimetype == "application/json"
    assert answer.get_json()["figure"]["data"]


def test_the_epochs_of_all_runs_that_are_named(client: FlaskClient) -> None:
    found = client.get("/pulse?run=tiny&run=bare").get_json()
    assert found["epochs"] == [0, 1, 2]
    assert client.get("/pulse").get_json()["epochs"] == []


def test_the_page_is_told_both_looks_and_the_defaults(client: FlaskClient) -> None:
    look = client.get("/look").get_json()

    assert set(look["defaults"]) == set(VIEWS)
    assert look["defaults"]["neuron_clusters"]["threshold"] == "0.85"
    assert look["light"]["layout"] != look["dark"]["layout"]


def test_plotly_comes_from_this_machine(client: FlaskClient) -> None:
    answer = client.get("/plotly.js")

    assert answer.mimetype == "text/javascript" and len(answer.data) > 1 << 20
    assert b'src="/plotly.js"' in client.get("/").data
    assert b"https://" not in client.get("/").data


# ---- strangers


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8050", "localhost:9000", "localhost", "127.0.0.1", "[::1]:8050", "[::1]", "127.0.0.2:8050"],
)  # fmt: skip
def test_this_machine_is_answered_by_any_of_its_names(
    client: FlaskClient, host: str
) -> None:
    assert client.get("/pulse", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8050",
        "127.0.0.1.evil.example:8050",
        "localhost.evil.example",
        "evil.example@localhost",
        "localhost@evil.example",
        "192.168.0.7:8050",
        "0.0.0.0:8050",
        "[::1].evil.example",
        "[fe80::1]:8050",
        "[",
    ],
)
def test_a_name_of_a_stranger_that_leads_here_is_refused(
    client: FlaskClient, host: str
) -> None:
    for path in ("/", "/pulse?run=tiny", "/plotly.js"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code in (400, 403) and b"tiny" not in answer.data


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://localhost:1", "https://localhost", "file://"],
)  # fmt: skip
def test_a_page_from_elsewhere_is_refused(
    client: FlaskClient, begun: list[Any], origin: str
) -> None:
    job = {"run": "bare", "analyses": [NORM], "epoch": None}

    for path, content in (("/picture", asked("losses")), ("/jobs", job), ("/jobs/0/stop", {})):  # fmt: skip
        answer = client.post(path, json=content, headers={"Origin": origin})
        assert answer.status_code == 403 and "own machine" in error_of(answer)
    assert begun == []


def test_the_own_page_may_say_where_it_comes_from(client: FlaskClient) -> None:
    headers = {"Host": "127.0.0.1:8050", "Origin": "http://127.0.0.1:8050"}

    assert client.post("/picture", json=asked("losses"), headers=headers).status_code == 200  # fmt: skip


@pytest.mark.parametrize("path", ["/picture", "/jobs", "/export", "/jobs/0/stop"])
def test_what_a_form_can_send_is_refused(
    client: FlaskClient, begun: list[Any], path: str
) -> None:
    content = json.dumps({"run": "bare", "analyses": [NORM], "epoch": None})
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain", ""):  # fmt: skip
        answer = client.post(path, data=content, content_type=kind)
        assert answer.status_code in (400, 415), kind
    assert begun == []


def test_nothing_happens_by_following_a_link(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Jobs, "stop", lambda *_: pytest.fail("it was stopped"))

    for path in ("/picture", "/export", "/jobs/0/stop"):
        answer = client.get(path)
        # Dash gives its page for any address.
        assert answer.status_code == 405 or answer.mimetype == "text/html"


def test_whoever_opens_the_server_to_others_is_asked_by_any_name(
    analysed: Path,
) -> None:
    with client_of(analysed, "0.0.0.0") as client:
        answer = client.get("/pulse", headers={"Host": "lab.example:8050"})

        assert answer.status_code == 200


def test_a_server_listens_on_this_machine_alone(analysed: Path) -> None:
    server = serve(create_app(analysed, Jobs(), loaded()), "127.0.0.1", 0)
    try:
        assert server.socket.getsockname()[0] == "127.0.0.1"
        with socket.create_connection(("127.0.0.1", server.server_port)):
            pass
    finally:
        server.server_close()


# ---- what there is not


@pytest.mark.parametrize("name", ["absent", "..", "../tiny", "/etc", "", "tiny/.."])
def test_a_run_that_is_not_there_is_told_with_those_that_are(
    client: FlaskClient, name: str
) -> None:
    job = {"run": name, "analyses": [NORM], "epoch": None}
    for answer in (
        client.get("/pulse", query_string={"run": name}),
        client.post("/jobs", json=job),
        client.post("/export", json=export("html", run=name)),
    ):
        assert answer.status_code == 404
        assert f"no run {name!r} here. There are: bare, tiny." in error_of(answer)


def test_a_view_that_is_not_there_is_told_with_those_that_are(
    client: FlaskClient,
) -> None:
    content = {"kind": "html", "wanted": asked("absent")}

    answer = client.post("/export", json=content)

    assert answer.status_code == 404 and "no view 'absent'" in error_of(answer)
    assert "neuron_clusters" in error_of(client.post("/picture", json=asked("absent")))


@pytest.mark.parametrize("path", ["/picture", "/jobs", "/export"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'"x"',
        b"1e999",
        b"NaN",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"run": ' * 50_000,
        b'{"kind": "html"}',
        b'{"kind": "svg", "wanted": null, "drawn": "!"}',
        b'{"kind": "pdf", "wanted": {}}',
        b'{"epoch": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_the_page_would_not_send_is_the_fault_of_who_sends_it(
    client: FlaskClient, path: str, body: bytes
) -> None:
    answer = client.post(path, data=body, content_type="application/json")

    assert answer.status_code == 400 and error_of(answer)


def test_a_path_that_there_is_not_is_told_to_the_page(client: FlaskClient) -> None:
    answer = client.post("/absent", json={})

    assert answer.status_code in (404, 405) and error_of(answer)


def test_a_request_larger_than_any_picture_is_refused(
    analysed: Path, begun: list[Any]
) -> None:
    app = create_app(analysed, Jobs(), loaded())
    assert app.server.config["MAX_CONTENT_LENGTH"] == MAX_REQUEST
    app.server.config["MAX_CONTENT_LENGTH"] = 1000
    client = app.server.test_client()

    answer = client.post("/export", json=export("svg", b"x" * 1000))

    assert answer.status_code == 413


# ---- exports


def test_an_exported_page_says_what_it_was_drawn_from(
    client: FlaskClient, analysed: Path
) -> None:
    answer = client.post("/export", json=export("html", threshold="0.5"))

    assert answer.status_code == 200 and answer.mimetype == "text/html"
    kept = "attachment; filename=tiny_epoch_00001_neuron_clusters.html"
    assert answer.headers["Content-Disposition"] == kept
    stamp = read_stamp(answer.data, "x")
    key = neuron_freq_norm.key(Run(analysed / "tiny")[1]).digest.hex
    assert [one.key for one in stamp.artifacts] == [key]
    assert (stamp.epoch, stamp.params["threshold"]) == (1, "0.5")
    assert client.post("/export", json=export("html", threshold="0.5")).data == answer.data  # fmt: skip


def test_what_the_browser_has_drawn_is_stamped(client: FlaskClient) -> None:
    answer = client.post("/export", json=drawn_from(client, export("svg", SVG)))

    assert answer.mimetype == "image/svg+xml" and b"<rect/>" in answer.data
    assert read_stamp(answer.data, "x").title == "neuron_clusters of tiny, epoch 1"


def test_the_nearest_epoch_is_exported_and_named(client: FlaskClient) -> None:
    answer = client.post(
        "/export", json=drawn_from(client, export("svg", SVG, epoch=99))
    )

    assert "tiny_epoch_00002" in answer.headers["Content-Disposition"]
    assert read_stamp(answer.data, "x").epoch == 2


@pytest.mark.parametrize("drawn", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"<svg"])
@pytest.mark.parametrize("kind", ["svg", "png"])
def test_what_is_no_picture_is_not_stamped(
    client: FlaskClient, kind: str, drawn: bytes
) -> None:
    answer = client.post("/export", json=drawn_from(client, export(kind, drawn)))

    assert answer.status_code == 400 and error_of(answer)


def test_what_was_drawn_from_other_artifacts_is_not_stamped(
    client: FlaskClient,
) -> None:
    content = export("svg", SVG) | {"keys": ["f" * 64]}

    answer = client.post("/export", json=content)

    assert answer.status_code == 409 and "has changed" in error_of(answer)


def test_nothing_is_drawn_once_a_source_file_was_edited(
    analysed: Path, tmp_path: Path
) -> None:
    source = tmp_path / "mine.py"
    source.write_text("x = 1")
    sources = Sources({str(source): stat_of(str(source))})
    client = create_app(analysed, Jobs(), sources).server.test_client()
    source.write_text("x = 12")
    sources.look()

    answer = client.post("/picture", json=asked("neuron_clusters"))

    assert "Edited: mine.py" in error_of(answer)


def test_what_is_not_stored_is_not_exported(client: FlaskClient) -> None:
    answer = client.post("/export", json=export("html", run="bare"))

    assert answer.status_code == 404
    assert "neuron_freq_norm is missing" in error_of(answer)


@pytest.mark.parametrize(
    "wanted, words",
    [
        (asked("neuron_clusters", threshold="high"), "threshold is 'high'"),
        (asked("activation_heatmap", neurons="99"), "There is no neuron 99"),
    ],
)
def test_an_export_that_cannot_be_drawn_is_told_in_a_sentence(
    client: FlaskClient, wanted: Any, words: str
) -> None:
    answer = client.post("/export", json={"kind": "html", "wanted": wanted})

    assert answer.status_code == 400 and words in error_of(answer)


def test_a_run_with_a_strange_name_is_exported_too(results: Path) -> None:
    name = 'tiny "quoted"; é\n\r<script>'
    shutil.move(results / "tiny", results / name)
    with client_of(results) as client:
        content = drawn_from(client, export("svg", SVG, run=name))
        answer = client.post("/export", json=content)

        assert answer.status_code == 200
        named = answer.headers["Content-Disposition"]
        assert "tiny_quoted_" in named and not set("\n\r<>") & set(named)
        assert read_stamp(answer.data, "x").run == name


# ---- jobs


def test_a_job_is_begun_for_what_a_view_draws(
    client: FlaskClient, begun: list[Any], analysed: Path
) -> None:
    job = {"run": "bare", "analyses": [NORM], "epoch": 1}

    answer = client.post("/jobs", json=job)

    assert answer.status_code == 200 and answer.get_json()["state"] == "running"
    assert begun == [(analysed / "bare", (NORM,), 1)]


@pytest.mark.parametrize("epoch, meant", [(None, None), (500, 2), (-7, 0), (10**30, 2)])
def test_a_job_is_of_the_epoch_that_is_shown(
    client: FlaskClient, begun: list[Any], epoch: Any, meant: Any
) -> None:
    client.post("/jobs", json={"run": "bare", "analyses": [NORM], "epoch": epoch})

    assert begun[0][2] == meant


@pytest.mark.parametrize(
    "analyses",
    [
        ["os:system"],
        ["neuron_freq_norm"],
        [NORM, "analyses.clusters:specialised_neurons"],
        ["--help"],
        [f"{NORM},os:system"],
        [""],
    ],
)
def test_a_job_for_what_no_view_draws_is_refused(
    client: FlaskClient, begun: list[Any], analyses: list[str]
) -> None:
    job = {"run": "bare", "analyses": analyses, "epoch": None}

    answer = client.post("/jobs", json=job)

    assert answer.status_code == 400 and "no view draws" in error_of(answer)
    assert begun == []


@pytest.mark.parametrize(
    "job",
    [
        {"run": "bare", "analyses": [], "epoch": None},
        {"run": "bare", "analyses": NORM, "epoch": None},
        {"run": "bare", "analyses": [1], "epoch": None},
        {"run": "bare", "analyses": [NORM], "epoch": "1"},
        {"run": "bare", "analyses": [NORM], "epoch": 1.5},
        {"run": "bare", "analyses": [NORM], "epoch": True},
        {"run": ["bare"], "analyses": [NORM], "epoch": None},
        {"run": "bare", "analyses": [NORM]},
    ],
)
def test_a_malformed_job_is_refused(
    client: FlaskClient, begun: list[Any], job: Any
) -> None:
    assert client.post("/jobs", json=job).status_code == 400
    assert begun == []


def test_stopping_a_job_that_there_is_not_does_nothing(client: FlaskClient) -> None:
    assert client.post("/jobs/7/stop", json={}).get_json() == []
    assert client.get("/pulse").get_json()["jobs"] == []


# ---- folders


def test_a_folder_without_runs_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoRuns, match="holds no run.*python -m analyses train"):
        create_app(tmp_path, Jobs(), loaded())
    with pytest.raises(NoRuns):
        create_app(tmp_path / "absent", Jobs(), loaded())


def test_the_name_of_a_folder_is_no_markup(results: Path) -> None:
    shutil.move(results, results.with_name("<script>alert()<"))
    with client_of(results.with_name("<script>alert()<")) as client:
        page = client.get("/").data

        assert b"<script>alert" not in page and b"&lt;script&gt;alert" in page


@pytest.mark.parametrize("search", ["", "?run=absent", "?run=tiny&view=losses&epoch=1"])
def test_the_page_is_made_for_any_address(client: FlaskClient, search: str) -> None:
    page = page_at(client, search)

    assert page.count('"panes"') == (1 if "view=losses" in search else len(VIEWS))


def test_when_the_last_run_is_taken_away_the_page_says_so(results: Path) -> None:
    with client_of(results) as client:
        for run in ("tiny", "bare"):
            shutil.rmtree(results / run)

        assert "holds no run" in page_at(client, "")


def page_at(client: FlaskClient, search: str) -> str:
    """What Dash is given for an address."""
    answer = client.post(
        "/_dash-update-component",
        json={
            "output": "page.children",
            "outputs": {"id": "page", "property": "children"},
            "inputs": [{"id": "url", "property": "search", "value": search}],
            "changedPropIds": ["url.search"],
        },
    )
    assert answer.status_code == 200
    return answer.get_data(as_text=True)
