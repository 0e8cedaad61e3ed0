"""`python -m analyses`: train a run, draw its report. Parsing and printing, nothing else."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from analyses.gather import report_of
from analyses.train import Training, train
from artifact_store import ArtifactStoreError, Run
from artifact_store.cli import main as artifact_store_main
from artifact_store.views import offered_views, view_offered

if TYPE_CHECKING:
    # Generic for the type checker alone.
    Verbs: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one verb; the return is the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m analyses", description="Modular addition, from training on."
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    add_train(verbs)
    add_report(verbs)
    add_views(verbs)
    add_render(verbs)
    add_serve(verbs)
    add_demo(verbs)

    arguments = parser.parse_args(argv)
    try:
        status: int = arguments.verb(arguments)
    except KeyboardInterrupt:
        return 130  # what a shell reports for Ctrl-C
    except (ArtifactStoreError, OSError) as error:
        print(f"analyses: {error}", file=sys.stderr)
        return 2
    return status


def add_train(verbs: Verbs) -> None:
    """`train`: how to ask for it."""
    defaults = Training()
    parser = verbs.add_parser(
        "train",
        help="train a network on addition modulo a prime",
        description="Train a network on addition modulo a prime. Ctrl-C keeps the checkpoints so far.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--prime", type=int, default=defaults.prime, help="the modulus")
    add("--d-mlp", type=int, default=defaults.d_mlp, help="how many neurons")
    add(
        "--fraction",
        type=float,
        default=defaults.training_fraction,
        help="share of the pairs to train on",
    )
    add("--epochs", type=int, default=defaults.num_epochs, help="steps, full batch")
    add(
        "--checkpoint-every",
        type=int,
        default=defaults.checkpoint_every,
        metavar="EPOCHS",
        help="how often to keep the weights, after a denser beginning",
    )
    add("--learning-rate", type=float, default=defaults.learning_rate, help="AdamW's")
    add("--weight-decay", type=float, default=defaults.weight_decay, help="AdamW's")
    add(
        "--seed",
        type=int,
        default=defaults.model_seed,
        help="decides the first weights",
    )
    add("--data-seed", type=int, default=defaults.data_seed, help="decides the split")
    add("--device", default="cpu", help="where to train, as PyTorch says it")
    add("--out", type=Path, default=Path("results"), help="the folder for runs")
    parser.set_defaults(verb=run_train)


def run_train(arguments: argparse.Namespace) -> int:
    """`train`: carry it out, and say where the run is."""
    config = Training(
        prime=arguments.prime,
        d_mlp=arguments.d_mlp,
        training_fraction=arguments.fraction,
        num_epochs=arguments.epochs,
        checkpoint_every=arguments.checkpoint_every,
        learning_rate=arguments.learning_rate,
        weight_decay=arguments.weight_decay,
        model_seed=arguments.seed,
        data_seed=arguments.data_seed,
    )
    print(train(config, arguments.out / config.name, device=arguments.device))
    return 0


def add_report(verbs: Verbs) -> None:
    """`report`: how to ask for it."""
    parser = verbs.add_parser(
        "report",
        help="draw the stored artifacts of a run as one page",
        description="Draw the stored artifacts of a run as one page, <run>/report.html. Computes nothing.",
    )
    parser.add_argument("run", type=Path, help="the folder of a run")
    parser.add_argument("--out", type=Path, help="another file than <run>/report.html")
    parser.set_defaults(verb=run_report)


def run_report(arguments: argparse.Namespace) -> int:
    """`report`: carry it out, and say where the page is."""
    run = Run(arguments.run)
    page = arguments.out or run.path / "report.html"
    page.write_bytes(report_of(run))
    print(page)
    return 0


def add_render(verbs: Verbs) -> None:
    """`render`: how to ask for it."""
    parser = verbs.add_parser(
        "render",
        help="draw one view of a run into an SVG, PNG or HTML file",
        description="Draw one view of a run into a file. Computes nothing; `artifact-store why FILE` says what it was "
        "drawn from.",
    )
    parser.add_argument("run", type=Path, help="the folder of a run")
    parser.add_argument(
        "view", metavar="VIEW", help="its name; `analyses views` lists them"
    )
    parser.add_argument(
        "--epoch", type=int, metavar="N", help="which checkpoint (default: the last)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_assignment,
        metavar="NAME=VALUE",
        help="a visual parameter, as in --set threshold=0.9 or --set neurons=3,17",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="default: RUN_epoch_N_VIEW.svg, in this directory",
    )
    parser.set_defaults(verb=run_render)


def run_render(arguments: argparse.Namespace) -> int:
    """`render`: carry it out, and say where the picture is."""
    run, view = Run(arguments.run), view_offered(arguments.view)
    scene = view.of(run, arguments.epoch, view.parsed(dict(arguments.set)))
    name = f"{run.name}_epoch_{scene.epoch:05d}_{view.name}.svg"
    print(scene.export(arguments.out or Path(name)))
    return 0


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def add_views(verbs: Verbs) -> None:
    """`views`: how to ask for it."""
    parser = verbs.add_parser(
        "views",
        help="list the views there are, what they draw and how they may look",
        description="List every view: its name and title, the analyses that it draws, and its visual parameters.",
    )
    parser.set_defaults(verb=run_views)


def run_views(arguments: argparse.Namespace) -> int:
    """`views`: carry it out."""
    for view in offered_views().values():
        print(f"{view.name}: {view.title}")
        print(f"  draws {', '.join(one.__name__ for one in view.needs.values())}")
        for name, text in view.shown(view.defaults).items():
            print(
                f"  --set {name}={shlex.quote(text)}  # {view.visuals[name].kind.words}"
            )
    return 0


def add_serve(verbs: Verbs) -> None:
    """`serve`: how to ask for it."""
    parser = verbs.add_parser(
        "serve",
        help="open the workbench: a page on which every view follows one slider",
        description="Show the runs in a folder as a page on this machine. It reads what is stored; what is missing can "
        "be computed from there. Ctrl-C ends it.",
    )
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=Path("results"),
        help="of runs, or a run (default: results)",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="where to listen (default: %(default)s, this machine alone)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=8050,
        help="0 picks a free one (default: %(default)s)",
    )
    parser.set_defaults(verb=run_serve)


def run_serve(arguments: argparse.Namespace) -> int:
    """`serve`: carry it out, until it is interrupted; anew, when its code was edited."""
    from analyses.workbench.serving import serve_until  # 1 s, which no other verb needs

    return serve_until(arguments.folder, arguments.host, arguments.port)


def add_demo(verbs: Verbs) -> None:
    """`demo`: how to ask for it."""
    parser = verbs.add_parser(
        "demo",
        help="train a small run that groks, analyse every checkpoint, write its report",
        description="Train a small run that groks, analyse every checkpoint and write its report. "
        "Whatever is there already is not made again.",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("results"), help="the folder for runs"
    )
    parser.set_defaults(verb=run_demo)


def run_demo(arguments: argparse.Namespace) -> int:
    """`demo`: from nothing to a report."""
    config = Training()
    run = train(config, arguments.out / config.name)
    status = artifact_store_main(["run", str(run)])
    return status or main(["report", str(run)])


if __name__ == "__main__":
    sys.exit(main())
