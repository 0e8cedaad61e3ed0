"""The server of the workbench: the page (Dash), pictures, exports and jobs (JSON over HTTP), on this machine only.

browser ──► page ◄── slider ──► pictures: stored artifacts, drawn
              └──► jobs: what is missing is computed in another process
"""

from __future__ import annotations

import base64
import html
import io
import ipaddress
import json
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import dash
import flask
from dash import ClientsideFunction, Dash, Input, Output
from dash.dependencies import ALL
from dash.exceptions import PreventUpdate
from plotly.offline import get_plotlyjs
from werkzeug.exceptions import BadRequest, Conflict, Forbidden, HTTPException
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from analyses.figures.style import dark_template, light_template
from analyses.workbench.jobs import Jobs
from analyses.workbench.links import link_of
from analyses.workbench.page import frame, page
from analyses.workbench.pictures import (
    Wanted,
    epochs_of,
    keys_of,
    nearest,
    picture,
    scene_of,
    wanted_of,
)
from analyses.workbench.shelf import NoRuns, Shelf
from analyses.workbench.sources import Sources
from artifact_store import ArtifactStoreError
from artifact_store.pictures import Format
from artifact_store.views import View, offered_views

T = TypeVar("T")

# A figure as a browser draws it, with room for the largest.
MAX_REQUEST = 64 << 20

INDEX = """<!DOCTYPE html>
<html lang="en">
<head>{%metas%}
<meta name="color-scheme" content="light dark"><title>{%title%}</title>{%favicon%}{%css%}
<script src="/plotly.js"></script></head>
<body>{%app_entry%}<footer>{%config%}{%scripts%}{%renderer%}</footer></body>
</html>"""


def create_app(folder: Path, jobs: Jobs, sources: Sources) -> Dash:
    """The workbench of the runs in a folder, which starts `jobs` and draws as long as its `sources` are as they were.

    Raises
    ------
    NoRuns
        There are none.
    """
    shelf, views = Shelf(folder.absolute()), offered_views()
    if not shelf.names:
        raise NoRuns(shelf.folder)
    app = Dash(
        "analyses.workbench",
        title=html.escape(f"{shelf.folder.name} · analyses"),
        update_title="",
        index_string=INDEX,
        # What the page holds comes with its address.
        suppress_callback_exceptions=True,
    )
    app.enable_dev_tools(debug=False)
    app.layout = frame()
    _add_callbacks(app, shelf, views)
    _add_routes(app.server, shelf, views, jobs, sources)
    return app


def serve(app: Dash, host: str, port: int) -> BaseWSGIServer:
    """A server that listens, and answers once its `serve_forever` is called."""
    if _is_here(host):
        # Else a page from elsewhere, whose name leads here, could ask for what only this machine may.
        app.server.before_request(_refuse_strangers)
    return make_server(host, port, app.server, threaded=True, request_handler=_Quiet)


class _Quiet(WSGIRequestHandler):
    """Says nothing of requests, of which there are a dozen a second."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def _refuse_strangers() -> None:
    origin = flask.request.headers.get("Origin")
    own = (None, f"http://{flask.request.host}")
    if not _is_here(_host_in(flask.request.host)) or origin not in own:
        raise Forbidden("This page answers to its own machine only.")


def _host_in(place: str) -> str:
    """The name or number in `localhost:8050` or `[::1]:8050`."""
    try:
        return urlsplit(f"//{place}").hostname or ""
    except ValueError:
        return ""


def _is_here(host: str) -> bool:
    """Whether a name or number always means the machine that says it."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _add_callbacks(app: Dash, shelf: Shelf, views: Mapping[str, View]) -> None:
    @app.callback(Output("page", "children"), Input("url", "search"))
    def _(query: str | None) -> list[Any]:
        if query is None:
            raise PreventUpdate  # The address is not known yet.
        names = shelf.names
        if not names:
            return [dash.html.P(str(NoRuns(shelf.folder)), role="alert")]
        return page(link_of(query, names, views), names, views)

    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("workbench", "changed"),
        Output("state", "data"),
        Input("run", "value"),
        Input("beside", "value"),
        Input({"type": "visual", "view": ALL, "name": ALL}, "value"),
    )


def _add_routes(
    server: flask.Flask,
    shelf: Shelf,
    views: Mapping[str, View],
    jobs: Jobs,
    sources: Sources,
) -> None:
    server.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST
    # By which a page knows that another server has come, with other code and other jobs.
    served = secrets.token_hex(8)

    def json_of(content: Any) -> flask.Response:
        text = content if isinstance(content, str) else json.dumps(content)
        return flask.Response(text, mimetype="application/json")

    @server.errorhandler(ArtifactStoreError)
    def _(error: ArtifactStoreError) -> tuple[flask.Response, int]:
        status = 404 if isinstance(error, LookupError) else 400
        return json_of({"error": str(error)}), status

    @server.errorhandler(HTTPException)
    def _(error: HTTPException) -> tuple[flask.Response, int]:
        # The page shows the sentence; of a document, it could only show the number.
        return json_of({"error": error.description or error.name}), error.code or 500

    @server.get("/plotly.js")
    def plotly() -> flask.Response:
        script = flask.Response(get_plotlyjs(), mimetype="text/javascript")
        script.cache_control.max_age = 86_400
        return script

    @server.get("/look")
    def look() -> flask.Response:
        looks = {
            "light": light_template().to_plotly_json(),
            "dark": dark_template().to_plotly_json(),
        }
        return json_of(
            looks
            | {
                "defaults": {
                    name: one.shown(one.defaults) for name, one in views.items()
                }
            }
        )

    @server.get("/pulse")
    def pulse() -> flask.Response:
        runs = [shelf.run(name) for name in flask.request.args.getlist("run")]
        told = [one.as_dict() for one in jobs.progress()]
        return json_of({"served": served, "epochs": epochs_of(runs), "jobs": told})

    @server.post("/picture")
    def one_picture() -> flask.Response:
        wanted = _asked(wanted_of)
        if sources.why:
            return json_of({"error": sources.why})
        return json_of(picture(wanted, shelf, views))

    @server.post("/jobs")
    def start() -> flask.Response:
        run, analyses, epoch = _asked(_job_of)
        known = {
            one.declaration.function
            for view in views.values()
            for one in view.needs.values()
        }
        if not set(analyses) <= known:
            raise BadRequest("no view draws this analysis")
        along = shelf.run(run)
        # Of two runs side by side, one may not have the epoch of the slider: as in pictures, the nearest is meant.
        at = None if epoch is None else nearest(along.epochs, epoch)
        return json_of(jobs.start(along.path, analyses, at).as_dict())

    @server.post("/jobs/<int:number>/stop")
    def stop(number: int) -> flask.Response:
        _asked(dict)
        jobs.stop(number)
        return json_of([one.as_dict() for one in jobs.progress()])

    @server.post("/export")
    def export() -> flask.Response:
        wanted, kind, drawn, keys = _asked(_export_of)
        scene = scene_of(wanted, shelf, views)
        name = f"{scene.run.name}_epoch_{scene.epoch:05d}_{scene.view.name}"
        try:
            if drawn is None:
                content = scene.exported(kind)
            else:
                artifacts = scene.artifacts()
                if keys_of(artifacts) != keys:
                    raise Conflict("What is stored has changed since this was drawn.")
                content = scene.stamped(drawn, kind, artifacts)
        except ArtifactStoreError:
            raise
        except ValueError as error:  # As of a neuron that there is not.
            raise BadRequest(str(error)) from error
        return flask.send_file(
            io.BytesIO(content),
            TYPES[kind],
            as_attachment=True,
            download_name=_file_named(name, kind),
        )


TYPES: Mapping[str, str] = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "html": "text/html",
}


def _file_named(name: str, kind: str) -> str:
    """A name that any system takes for a file."""
    plain = re.sub(r"[^\w.+-]+", "_", name)
    return f"{plain}.{kind}"


def _asked(read: Callable[[Any], T]) -> T:
    """What a request asks for, in JSON: no form on another page can send that."""
    try:
        return read(flask.request.get_json())
    except HTTPException:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadRequest(f"not a request of this page ({error})") from error


def _job_of(content: Any) -> tuple[str, tuple[str, ...], int | None]:
    match content:
        case {
            "run": str(run),
            "analyses": [*analyses],
            "epoch": int() | None as epoch,
        } if (
            analyses
            and not isinstance(epoch, bool)
            and all(isinstance(one, str) for one in analyses)
        ):
            return run, tuple(analyses), epoch
        case _:
            raise ValueError("not a job")


def _export_of(content: Any) -> tuple[Wanted, Format, bytes | None, Any]:
    """What is to be exported, how, and what the browser has drawn of it and of which keys, if that draws it."""
    match content:
        case {"wanted": wanted, "kind": "html"}:
            return wanted_of(wanted), "html", None, None
        case {
            "wanted": wanted,
            "kind": "svg" | "png" as kind,
            "drawn": str(drawn),
            "keys": keys,
        }:
            return wanted_of(wanted), kind, base64.b64decode(drawn, validate=True), keys
        case _:
            raise ValueError("not an export")
