"""One self-contained page about a run: every view of it, and one slider over its epochs.

    views at the last epoch ──► ReportData ──► figures ──────────────────────────────┐
    arrays of all epochs ─────►          └───► packed arrays, which the slider swaps in ┴─► report.html

The page holds everything it needs, Plotly included, and forbids itself the network. Its script
(`report_page/script.js`) defines no figure: it only puts another epoch's numbers into those drawn here.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.offline import get_plotlyjs

from analyses.figures.checks import array_with_axes, coordinate
from analyses.figures.clusters import cluster_order
from analyses.figures.frequencies import wave_shares
from analyses.figures.style import dark_template, light_template

MAX_BYTES = 15_000_000
"""No report is larger: where pictures of every checkpoint would not fit, some checkpoints go without."""

SPECIALISED_FROM = 0.75
"""Share of a neuron's power on one frequency from which it is specialised, until the reader moves the slider."""

Packed = dict[str, Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class ReportData:
    """What a report shows of a run.

    Parameters
    ----------
    run
        Its name.
    config
        How it was trained; shown as it is.
    epochs
        `(epoch,)`, rising: the epochs of the checkpoints.
    train_losses, test_losses
        `(training epoch,)` each, from epoch 0, or both None.
    coefficients
        `(epoch, component)`: constant, then sine and cosine of each frequency.
    norm
        `(epoch, frequency, neuron)`: share of a neuron's power on a frequency.
    neurons
        Numbers of the sample neurons.
    activations
        `(epoch, sample neuron, a, b)`.
    provenance
        The keys, or digests, of the artifacts each analysis contributed.
    figures
        Every view at the last epoch, with scales that suit all epochs, by the name it has in the script:
        `frequencies`, `spectrum`, `activations`, `clusters`, `specialised` and, if they are known, `losses`.
    accuracy
        `(epoch,)`: share of all pairs answered rightly, if known.
    """

    run: str
    config: Mapping[str, object]
    epochs: NDArray[Any]
    train_losses: NDArray[Any] | None
    test_losses: NDArray[Any] | None
    coefficients: NDArray[Any]
    norm: NDArray[Any]
    neurons: Sequence[int]
    activations: NDArray[Any]
    provenance: Mapping[str, Sequence[str]]
    figures: Mapping[str, go.Figure]
    accuracy: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        epochs = array_with_axes("epochs", self.epochs, "epoch").size
        array_with_axes("coefficients", self.coefficients, "epoch", "component")
        array_with_axes("norm", self.norm, "epoch", "frequency", "neuron")
        array_with_axes("activations", self.activations, "epoch", "neuron", "a", "b")
        for name in ("coefficients", "norm", "activations"):
            coordinate(
                "epoch", self.epochs, along=name, length=len(getattr(self, name))
            )
        coordinate(
            "neurons",
            self.neurons,
            along="activations",
            length=self.activations.shape[1],
        )
        if self.accuracy is not None:
            coordinate("accuracy", self.accuracy, along="epochs", length=epochs)
        if (self.train_losses is None) != (self.test_losses is None):
            raise ValueError(
                "Only one of train_losses and test_losses is known. Pass both, or None for both."
            )

    @property
    def frequency(self) -> NDArray[np.int64]:
        """1 to p // 2."""
        return np.arange(1, self.norm.shape[1] + 1)


def render_report(data: ReportData, beside: int = 0) -> str:
    """The report as one HTML document; equal data give equal bytes.

    Parameters
    ----------
    beside
        How many bytes whoever writes it adds.
    """
    arrays = _exact_arrays(data)
    packed = {name: _pack(array) for name, array in arrays.items()}
    content = {
        "epochs": data.epochs.tolist(),
        "neurons": [int(neuron) for neuron in data.neurons],
        "templates": {
            "light": light_template().to_plotly_json(),
            "dark": dark_template().to_plotly_json(),
        },
        "figures": {
            name: _without_look(figure) for name, figure in data.figures.items()
        },
        "arrays": packed,
    }
    room = (
        MAX_BYTES
        - len(_page(data, content, pictured=len(data.epochs)).encode())
        - 1_000
        - beside
    )
    pictures, pictured = _pictures(data, room)
    packed |= {name: _pack(array) for name, array in pictures.items()}
    return _page(data, content, pictured=pictured)


def _exact_arrays(data: ReportData) -> dict[str, NDArray[Any]]:
    """What curves, thresholds and counts are drawn from: every epoch, in full precision."""
    sine, cosine = wave_shares(data.coefficients)
    shares = np.nan_to_num(data.norm)  # (epoch, frequency, neuron)
    arrays: dict[str, NDArray[Any]] = {
        "sine": sine.astype(np.float32),  # (epoch, frequency)
        "cosine": cosine.astype(np.float32),  # (epoch, frequency)
        "dominant": (shares.argmax(axis=1) + 1).astype(np.uint16),  # (epoch, neuron)
        "purest": shares.max(axis=1).astype(np.float32),  # (epoch, neuron)
        "order": np.stack([cluster_order(norm) for norm in shares]).astype(
            np.uint16
        ),  # (epoch, neuron)
    }
    if data.train_losses is not None and data.test_losses is not None:
        curves = np.stack([data.train_losses, data.test_losses]).astype(
            np.float32
        )  # (curve, training epoch)
        known = (data.epochs >= 0) & (data.epochs < curves.shape[1])
        arrays["losses"] = np.full(
            (len(data.epochs), 2), np.nan, np.float32
        )  # (epoch, curve)
        arrays["losses"][known] = curves[:, data.epochs[known]].T
    if data.accuracy is not None:
        arrays["accuracy"] = np.asarray(data.accuracy, np.float32)  # (epoch,)
    return arrays


def _pictures(data: ReportData, room: int) -> tuple[dict[str, NDArray[Any]], int]:
    """What the two big heatmaps are drawn from, for as many epochs as fit into `room` bytes, and their number.

    A picture needs no more than 256 shades, and its bytes then compress well.
    """
    count = len(data.epochs)
    while True:
        # The last epoch matters most and is always among them.
        kept = np.unique(
            np.linspace(len(data.epochs) - 1, 0, count).round().astype(int)
        )
        codes, low, step = _quantised(data.activations[kept])
        pictures: dict[str, NDArray[Any]] = {
            "pictured": kept.astype(np.uint32),
            "norm": np.rint(255 * np.nan_to_num(data.norm[kept]).clip(0, 1)).astype(
                np.uint8
            ),
            "activations": codes,
            "activations_low": low,
            "activations_step": step,
        }
        size = len(json.dumps({name: _pack(array) for name, array in pictures.items()}))
        if size <= room or count == 1:
            return pictures, len(kept)
        count = max(1, min(count - 1, int(count * room / size)))


def _quantised(
    pictures: NDArray[Any],
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """256 shades from the lowest to the highest value of each picture `(…, a, b)`, and how to read them."""
    values = np.nan_to_num(np.asarray(pictures, np.float32))
    low = values.min(axis=(-2, -1))
    step = (values.max(axis=(-2, -1)) - low) / np.float32(255)
    scale = np.where(step > 0, step, 1)[..., None, None]
    codes = (
        np.rint((values - low[..., None, None]) / scale).clip(0, 255).astype(np.uint8)
    )
    return codes, low, step


def dominant_from(frequencies: int) -> float:
    """The initial threshold: twice what each frequency would have if all were alike."""
    return min(0.5, round(2 / frequencies, 2))


def _without_look(figure: go.Figure) -> dict[str, Any]:
    """A figure without its title (the page has a heading), its template (the page chooses) and its pictures."""
    figure.update_layout(title=None, template=None, margin_t=28, paper_bgcolor=None)
    # The page unpacks these from its arrays for any epoch, the first one shown included.
    figure.for_each_trace(
        lambda heatmap: heatmap.update(z=None, customdata=None),
        lambda trace: trace.type == "heatmap"
        and (trace.coloraxis is not None or trace.customdata is not None),
    )
    plain: dict[str, Any] = json.loads(figure.to_json())
    plain["layout"].pop("template", None)
    return plain


def _pack(array: NDArray[Any]) -> Packed:
    """An array as the page can read it: its little-endian bytes, deflated, in base64."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    deflated = base64.b64encode(zlib.compress(little.tobytes(), 9)).decode()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "deflated": deflated}


def _page(data: ReportData, content: Mapping[str, Any], *, pictured: int) -> str:
    parts = files("analyses") / "report_page"
    checkpoints = len(data.epochs)
    thinned = (
        f" To keep this file small they are stored for {pictured} of the {checkpoints} checkpoints; "
        "between those, the nearest one is shown and named."
    )
    return Template((parts / "index.html").read_text("utf-8")).substitute(
        style=(parts / "style.css").read_text("utf-8"),
        script=(parts / "script.js").read_text("utf-8"),
        plotly=get_plotlyjs(),
        content=_json_in_html(content),
        run=escape(data.run),
        facts=escape(", ".join(_facts(data.config))),
        span=_span(data.epochs),
        config=_definitions(data.config),
        without_losses="" if data.train_losses is not None else "hidden",
        last=checkpoints - 1,
        samples=len(data.neurons),
        dominant_from=round(100 * dominant_from(len(data.frequency))),
        specialised_from=round(100 * SPECIALISED_FROM),
        thinned=thinned if pictured < checkpoints else "",
        provenance=_provenance(data.provenance),
    )


FACTS = (
    ("prime", "addition modulo {}"),
    ("n_layers", "layers: {}"),
    ("n_heads", "attention heads: {}"),
    ("d_model", "model dimension {}"),
    ("d_mlp", "{} MLP neurons"),
    ("training_fraction", "training fraction {}"),
    ("weight_decay", "weight decay {}"),
    ("seed", "seed {}"),
)
"""What the header says of a run, where its configuration knows it."""


def _facts(config: Mapping[str, object]) -> list[str]:
    return [words.format(config[name]) for name, words in FACTS if name in config]


def _span(epochs: NDArray[Any]) -> str:
    if len(epochs) == 1:
        return f"one checkpoint, of epoch {epochs[0]:,}"
    return f"{len(epochs)} checkpoints from epoch {epochs[0]:,} to {epochs[-1]:,}"


def _definitions(config: Mapping[str, object]) -> str:
    """The configuration as a list of terms and values."""
    return "".join(
        f"<div><dt>{escape(str(k))}</dt><dd>{escape(str(v))}</dd></div>"
        for k, v in config.items()
    )


def _provenance(provenance: Mapping[str, Sequence[str]]) -> str:
    """Every analysis with its artifacts, folded away."""
    return "".join(
        f"<details><summary><code>{escape(analysis)}</code>, artifacts: {len(keys)}</summary>"
        f"<ul>{''.join(f'<li><code>{escape(key)}</code></li>' for key in keys)}</ul></details>"
        for analysis, keys in provenance.items()
    )


def _json_in_html(content: Mapping[str, Any]) -> str:
    """JSON that no reader of HTML can mistake for the end of a script."""
    text = json.dumps(content, separators=(",", ":"), sort_keys=True, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
