"""`python -m analyses`: train a run, draw its report. Parsing and printing, nothing else."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from analyses.gather import report_of
from analyses.train import Training, train
from artifact_store import ArtifactStoreError, Run
from artifact_store.cli import main as artifact_store_main

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
