"""The command line: ``lossviz losses | data | train | runs``. Bad input gives one sentence and exit code 2."""

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

# Torch is imported by the commands that need it: help and the list of runs come at once.
if TYPE_CHECKING:
    from lossviz.data import Progress
    from lossviz.losses import Loss
    from lossviz.runs import Run, RunSpec, Store
    from lossviz.training import Dataset, Done, Event

# Written out here, for asking the catalogue would bring torch; a test compares.
TASKS = (
    *("regression", "classification", "similarity", "detection", "segmentation", "sequence", "gan", "multi-task"),
    *("adaptive", "adversarial", "joint", "sparse", "unsupervised", "semi-supervised", "ranking"),
)
PROPERTIES = (
    *("convex", "convex_in_pred", "convex_in_logits", "bounded", "lipschitz", "smooth", "robust", "symmetric"),
    *("proper", "calibrated", "scale_invariant", "needs_pairs"),
)
LOSSES_HELP = "List the losses that fit, or show one: formula, gradient, parameters, properties, pitfalls and code."
PROPERTY_HELP = (
    "such as convex (yes is meant), robust=no or proper=none (not applicable); may be repeated, all have to fit; "
    f"NAME is one of {', '.join(PROPERTIES)}"
)
FORMULA_HELP = (
    "a loss of your own of pred and target, such as 'abs(pred - target)**p / p' with --param formula.p=1.5; may be "
    "repeated, the second one is formula#2"
)
NARROW = 40
"""Characters of a formula where it stands in a line with others."""
OWNER = "cli"
START = time.perf_counter()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 1 (it failed), 2 (bad input), 130 (stopped by Ctrl-C)."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our lines has left; the interpreter's last flush must not complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def losses(options: argparse.Namespace) -> int:
    """List the losses that fit, or show one."""
    from lossviz.losses import find, get

    try:
        if options.key:
            if options.task or options.property:
                raise ValueError("--task and --property choose from the list: leave the loss's key out")
            found = get(options.key)
        else:
            found = find(options.task, **dict(map(_property, options.property)))
    except (KeyError, TypeError, ValueError) as error:
        return _fail(error.args[0], 2)
    if isinstance(found, tuple):
        print(json.dumps([_listed(loss) for loss in found]) if options.json else _list(found))
    else:
        print(json.dumps(_described(found), allow_nan=False) if options.json else _description(found))
    return 0


def data(options: argparse.Namespace) -> int:
    """Find or fetch MNIST."""
    from lossviz.data import DataError, fetch

    try:
        folder = fetch(_bar(sys.stderr.isatty()))
    except DataError as error:
        return _fail(str(error), 1)
    print(f"MNIST is in {folder}: 60,000 + 10,000 images, checksums verified.")
    return 0


def train(options: argparse.Namespace) -> int:
    """Train, record the run in the store, print what is measured."""
    from lossviz.runs import RunSpec, StoreError

    try:
        spec = RunSpec.parse(_spec(options))
        dataset = _ready(spec)
    except ValueError as error:
        return _fail(str(error), 2)
    try:
        with _store() as store:
            return _train(spec, dataset, store, _json_line if options.json else _text_line)
    except StoreError as error:
        return _fail(str(error), 1)


def runs(options: argparse.Namespace) -> int:
    """List the runs, newest first."""
    from lossviz.runs import StoreError, summary

    try:
        with _store() as store:
            found = store.runs()
    except StoreError as error:
        return _fail(str(error), 1)
    if options.json:
        print(json.dumps([summary(run) for run in found]))
        return 0
    for run in found:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.created))
        names = ", ".join(choice.label(NARROW) for choice in run.spec.losses)
        names += f", {run.spec.seeds} seeds" if run.spec.seeds > 1 else ""
        print(f"{run.id}  {when}  {run.status:<11}  {run.step:>6,} of {run.total_steps:,}  {run.spec.model}: {names}")
    if not found:
        print("There are no runs yet; `lossviz train --losses mse` makes one.")
    return 0


def _property(text: str) -> tuple[str, bool | None]:
    name, equals, value = text.partition("=")
    answers = {"yes": True, "no": False, "none": None}
    if name == "task" or (value not in answers and equals):
        raise ValueError(f"--property is {text[:60]!r}; it must read like convex, robust=no or proper=none")
    return name.replace("-", "_"), answers[value] if equals else True


def _listed(loss: "Loss") -> dict[str, Any]:
    from lossviz.training import offered

    return {
        "key": loss.key,
        "name": loss.name,
        "name_zh": loss.name_zh,
        "family": loss.family,
        "tasks": list(loss.tasks),
        "input_kind": loss.input_kind,
        "inputs": dict(loss.inputs),
        "params": {name: param.default for name, param in loss.params.items()},
        "trainable": loss.key in offered(),
        "reference": loss.reference,
    }


def _described(loss: "Loss") -> dict[str, Any]:
    """Everything an entry says, as JSON has it; formulas in LaTeX, code with the parameters at their defaults."""
    from dataclasses import fields
    from typing import get_args

    from lossviz.losses import Library
    from lossviz.losses.snippets import filled

    claims = {each.name: getattr(loss.properties, each.name) for each in fields(loss.properties)}
    return _listed(loss) | {
        "params": {
            name: {"default": param.default, "allowed": param.allowed, "meaning": param.meaning}
            for name, param in loss.params.items()
        },
        "formula": [line.latex for line in loss.formula],
        "gradient": loss.gradient,
        "derivation": [line.latex for line in loss.derivation],
        "detached": loss.detached,
        "properties": {
            name: {"holds": claim.holds, "domain": claim.domain, "evidence": claim.evidence}
            for name, claim in claims.items()
        },
        "pitfalls": list(loss.pitfalls),
        "code": {library: filled(loss, library) for library in get_args(Library)},
        "note": loss.code.note,
    }


def _list(found: "tuple[Loss, ...]") -> str:
    lines: list[str] = []
    for loss in found:
        params = ", ".join(f"{name}={param.default}" for name, param in loss.params.items())
        name = f"{loss.name} ({params})" if params else loss.name
        lines.append(f"{loss.key:<22} {name}; {', '.join(loss.tasks)}")
    return "\n".join(lines or ["No loss is like that."])


def _description(loss: "Loss") -> str:
    """The same as `_described`, to be read in a terminal."""
    from lossviz.plain import plain

    entry = _described(loss)
    constant = [f"({loss.detached} taken as constant)"] if loss.detached else []
    answers = {True: "yes", False: "no"}
    claims = [
        f"{name:<17} {answers[claim['holds']]:<4} {claim['domain']}. {claim['evidence']}"
        for name, claim in entry["properties"].items()
        if claim["holds"] is not None
    ]
    silent = [name for name, claim in entry["properties"].items() if claim["holds"] is None]
    chapters = {
        "Formula": [plain(latex) for latex in entry["formula"]],
        "Gradient": [plain(loss.gradient), *constant],
        "Inputs": [f"{name}: {meaning}" for name, meaning in loss.inputs.items()],
        "Parameters": [
            f"{name} = {param['default']}, allowed: {param['allowed']}. {param['meaning']}"
            for name, param in entry["params"].items()
        ],
        "Properties": [*claims, *([f"not applicable: {', '.join(silent)}"] if silent else [])],
        "Pitfalls": [f"- {sentence}" for sentence in loss.pitfalls],
        "Reference": [loss.reference],
        "PyTorch": entry["code"]["pytorch"].splitlines(),
    }
    head = f"{loss.name} ({loss.name_zh})\n{loss.key}: {', '.join(loss.tasks)}"
    texts = [
        "\n".join([title, *(f"  {line}".rstrip() for line in lines)]) for title, lines in chapters.items() if lines
    ]
    return "\n\n".join([head, *texts])


Line = Callable[["RunSpec", dict[str, Any]], None]


def _train(spec: "RunSpec", dataset: "Dataset", store: "Store", line: Line) -> int:
    from lossviz.training import train as events

    run = store.create(spec, OWNER)
    try:
        for event in events(spec, dataset):
            _take(run, spec, event, store, line)
    except (KeyboardInterrupt, BrokenPipeError) as stop:
        ended = store.finish(run.id, "stopped", f"Stopped at step {store.get(run.id).step:,}.")
        if isinstance(stop, BrokenPipeError):
            raise
        line(spec, {"event": "stopped", "run": run.id, "message": ended.message})
        return 130
    except (RuntimeError, MemoryError) as error:
        ended = store.finish(run.id, "failed", f"The training cannot go on: {error}")
        return _fail(ended.message, 1)
    return 0 if store.get(run.id).status == "done" else 1


def _take(run: "Run", spec: "RunSpec", event: "Event", store: "Store", line: Line) -> None:
    from lossviz.training import Diverged, Done, Points, Started

    members = spec.members()
    match event:
        case Started(device, threads, total_steps, bridges, way):
            store.begin(run.id, device=device, threads=threads, bridges=bridges, way=way)
            line(
                spec,
                {
                    "event": "started",
                    "run": run.id,
                    "device": device,
                    "threads": threads,
                    "total_steps": total_steps,
                    "bridges": dict(zip(spec.labels(), bridges, strict=True)),
                    "way": way,
                },
            )
        case Points(points):
            for point in store.append(run.id, points):
                member = members[point.member]
                content = {"step": point.step, "loss": member.loss, "seed": member.seed, "metric": point.metric}
                line(spec, {"event": "point", **content, "value": point.value})
        case Diverged(_, _, message):
            store.note(run.id, f"{store.get(run.id).message} {message}".strip())
            line(spec, {"event": "note", "message": message})
        case Done():
            store.finish(run.id, "done" if any(a is not None for a in event.test_accuracy) else "failed")
            line(spec, {"event": "done", "run": run.id, **_result(spec, event)})
        case _:
            pass


def _result(spec: "RunSpec", done: "Done") -> dict[str, Any]:
    return {
        "test_accuracy": {
            member.name: accuracy for member, accuracy in zip(spec.members(), done.test_accuracy, strict=True)
        },
        "seconds": round(done.seconds, 4),
        "total_seconds": round(time.perf_counter() - START, 4),
    }


def _json_line(spec: "RunSpec", content: dict[str, Any]) -> None:
    from lossviz.runs import json_number

    if content["event"] == "point":
        content = {**content, "value": json_number(content["value"])}
    print(json.dumps(content, allow_nan=False), flush=True)


def _text_line(spec: "RunSpec", content: dict[str, Any]) -> None:
    from lossviz.runs.spec import shortened

    match content["event"]:
        case "started":
            print(f"Run {content['run']} on {content['device']}, {content['total_steps']:,} steps.")
            for label, bridge in content["bridges"].items():
                print(f"  {label}: {bridge}")
            if content["way"]:
                print(content["way"])
        case "point" if content["metric"] == "test_accuracy":
            epoch = math.ceil(content["step"] / spec.steps_per_epoch)
            name = shortened(content["loss"], NARROW)
            seed = f"seed {content['seed']}  " if spec.seeds > 1 else ""
            print(f"Epoch {epoch:>3} of {spec.epochs}  {name:<20} {seed}test accuracy {content['value']:.4f}")
        case "note" | "stopped":
            print(content["message"])
        case "done":
            print(f"Training took {content['seconds']:.2f} s, {content['total_seconds']:.2f} s with everything else.")
        case _:
            return
    sys.stdout.flush()


def _ready(spec: "RunSpec") -> "Dataset":
    """The data on the device; one sentence as a ValueError where something is missing."""
    import torch

    from lossviz.data import DataError
    from lossviz.training import Dataset, choose_device, chosen_threads, validate

    validate(spec)
    torch.set_num_threads(chosen_threads())
    try:
        return Dataset.load(choose_device())
    except DataError as error:
        raise ValueError(str(error)) from error


def _spec(options: argparse.Namespace) -> dict[str, Any]:
    from lossviz.language import KEY, parse
    from lossviz.runs.spec import FIELDS, distinct

    entries: list[dict[str, Any]] = [{"key": key.strip(), "params": {}} for key in (options.losses or "").split(",")]
    typed = [{"key": KEY, "formula": text, "params": {}} for text in options.formula]
    entries = [*entries, *typed] if options.losses is not None else typed
    if not entries:
        raise ValueError("there is nothing to train with: choose losses with --losses, or type one with --formula")
    keys = [entry["key"] for entry in entries]
    labels = distinct(keys)
    for text in options.param:
        name, equals, value = text.partition("=")
        loss, dot, param = name.rpartition(".")
        members = [place for place, key in enumerate(keys) if loss in (key, labels[place])]
        if not (equals and dot and members):
            allowed = f"it must read like huber.delta=0.5 and name one of {', '.join(labels)}"
            raise ValueError(f"--param is {text[:60]!r}; {allowed}")
        # Of several formulas, those that have it.
        having = [p for p in members if keys[p] != KEY or param in parse(entries[p]["formula"]).parameters]
        for place in having or members:
            entries[place]["params"][param] = _value(value)
    given = {name: value for name in FIELDS if (value := getattr(options, name, None)) is not None}
    return {**given, "losses": entries}


def _value(text: str) -> object:
    """A number, list, true, false or null as JSON has them; anything else stays the text it is and is judged later."""
    try:
        return json.loads(text)
    except ValueError:
        return text


@contextmanager
def _store() -> "Iterator[Store]":
    from lossviz.runs import Store, default_path

    with closing(Store(default_path())) as store:
        store.interrupt_orphans()
        yield store


def _bar(live: bool) -> "Callable[[Progress], None]":
    def show(progress: "Progress") -> None:
        share = min(1.0, progress.done / progress.total)
        text = f"{progress.file:<32} [{'#' * round(30 * share):<30}] {share:4.0%} from {progress.source}"
        if live:
            print(f"\r{text}", end="\n" if share == 1 else "", file=sys.stderr, flush=True)
        elif share == 1:
            print(text, file=sys.stderr, flush=True)

    return show


def _fail(sentence: str, code: int) -> int:
    print(f"lossviz: {sentence}", file=sys.stderr)
    return code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"lossviz: {message}; see `{self.prog} --help`\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="lossviz", description="Look at loss functions, and train small networks with them.")
    commands = parser.add_subparsers(required=True, metavar="losses | data | train | runs")

    listing = commands.add_parser("losses", help="list the losses, or show one", description=LOSSES_HELP)
    listing.set_defaults(command=losses)
    listing.add_argument("key", nargs="?", help="show this one, such as huber")
    listing.add_argument("--task", help=f"one of {', '.join(TASKS)}")
    listing.add_argument("--property", action="append", default=[], help=PROPERTY_HELP, metavar="NAME[=yes|no|none]")
    fetching = commands.add_parser("data", help="fetch and verify MNIST")
    fetching.set_defaults(command=data)
    past = commands.add_parser("runs", help="list the runs")
    past.set_defaults(command=runs)
    training = commands.add_parser("train", help="train one network per loss and seed on MNIST, side by side")
    training.set_defaults(command=train)
    for command in (listing, past, training):
        command.add_argument("--json", action="store_true", help="print JSON")

    training.add_argument("--losses", help="1 to 8 of them, such as cross_entropy,mse")
    training.add_argument("--formula", action="append", default=[], help=FORMULA_HELP, metavar="TEXT")
    training.add_argument("--param", action="append", default=[], help="such as huber.delta=0.5; may be repeated")
    training.add_argument("--model", help="softmax (default), mlp or cnn")
    training.add_argument("--optimizer", help="adam (default), sgd, momentum, nesterov, adamw, rmsprop or adagrad")
    training.add_argument("--schedule", help="of the learning rate: constant (default), cosine, one-cycle or step")
    # Numbers are judged by the run's spec, whose sentence names the allowed range.
    training.add_argument("--learning-rate", type=_value, help="above 0, at most 10 (default 0.001)")
    training.add_argument("--weight-decay", type=_value, help="0 to 1 (default 0)")
    training.add_argument("--clip", type=_value, help="longest norm of a gradient, up to 1000 (default 0: any)")
    training.add_argument("--batch-size", type=_value, help="1 to 2048 (default 32)")
    training.add_argument("--epochs", type=_value, help="1 to 100 (default 10)")
    training.add_argument("--seed", type=_value, help="whole number (default 0)")
    training.add_argument("--seeds", type=_value, help="train each loss from so many seeds, 1 to 10 (default 1)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
