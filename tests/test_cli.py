import json
import os
import signal
import subprocess
import sys

import pytest

from lossviz import cli, losses
from lossviz.runs import LossChoice, RunSpec, Store, default_path
from lossviz.training import choose_device, device_name, offered

COMMAND = [sys.executable, "-m", "lossviz.cli"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LOSSVIZ_HOME", str(tmp_path))
    return tmp_path


def objects(text):
    """Each line as strict JSON: NaN and Infinity are no JSON."""
    return [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]


def only_run():
    store = Store(default_path())
    (run,) = store.runs()
    points = store.points(run.id)
    store.close()
    return run, points


def test_losses_lists_the_catalogue(capsys):
    assert cli.main(["losses"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [loss.key for loss in losses.CATALOGUE]
    assert all(line.endswith(f"; {', '.join(loss.tasks)}") for line, loss in zip(lines, losses.CATALOGUE, strict=True))
    assert cli.main(["losses", "--json"]) == 0
    (listed,) = objects(capsys.readouterr().out)
    assert [entry["key"] for entry in listed] == [loss.key for loss in losses.CATALOGUE]
    assert [entry["key"] for entry in listed if entry["trainable"]] == list(offered())
    assert [tuple(entry["tasks"]) for entry in listed] == [loss.tasks for loss in losses.CATALOGUE]


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ("--task detection", {"task": "detection"}),
        ("--property convex --property robust", {"convex": True, "robust": True}),
        ("--task regression --property robust=no", {"task": "regression", "robust": False}),
        ("--property scale-invariant=yes --property proper=none", {"scale_invariant": True, "proper": None}),
    ],
)
def test_losses_lists_what_fits(capsys, arguments, asked):
    expected = [loss.key for loss in losses.find(**asked)]
    assert 0 < len(expected) < len(losses.CATALOGUE)
    assert cli.main(["losses", *arguments.split()]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == expected
    assert cli.main(["losses", *arguments.split(), "--json"]) == 0
    assert [entry["key"] for entry in objects(capsys.readouterr().out)[0]] == expected


def test_no_loss_that_fits_is_no_error(capsys):
    nothing = ["losses", "--task", "gan", "--property", "proper"]
    assert not losses.find("gan", proper=True)
    assert cli.main(nothing) == 0
    assert capsys.readouterr().out == "No loss is like that.\n"
    assert cli.main([*nothing, "--json"]) == 0
    assert objects(capsys.readouterr().out) == [[]]


def test_a_loss_is_shown_in_words(capsys):
    assert cli.main(["losses", "huber"]) == 0
    words = capsys.readouterr().out
    for line in (
        "Huber loss (Huber 损失)",
        "huber: regression",
        "  ℓ = {ℓ_near if |r| ≤ δ; ℓ_far if |r| > δ}",
        "  ∂ℓ/∂ŷ = min(max(r, −δ), δ)",
        "  delta = 1.0, allowed: 0.01 to 100. Residuals beyond this are outliers and pull with this strength.",
        "  bounded           no   all real predictions and labels. Refuted by the counter-example.",
        "  not applicable: convex_in_logits, proper, calibrated",
        "  loss = F.huber_loss(pred, target, delta=1.0)",
    ):
        assert f"{line}\n" in words


@pytest.mark.parametrize("key", [loss.key for loss in losses.CATALOGUE])
def test_every_loss_is_shown_and_is_json(capsys, key):
    loss = losses.get(key)
    assert cli.main(["losses", key]) == 0
    words = capsys.readouterr().out
    assert cli.main(["losses", key, "--json"]) == 0
    (entry,) = objects(capsys.readouterr().out)
    assert (entry["key"], entry["name_zh"], entry["reference"]) == (key, loss.name_zh, loss.reference)
    assert set(entry["params"]) == set(loss.params) and entry["pitfalls"] == list(loss.pitfalls)
    assert entry["gradient"] == loss.gradient and entry["formula"][-1] == loss.formula[-1].latex
    assert entry["properties"]["robust"] == {
        "holds": loss.properties.robust.holds,
        "domain": loss.properties.robust.domain,
        "evidence": loss.properties.robust.evidence,
    }
    assert entry["code"]["pytorch"] and (entry["code"]["keras"] is None) == (loss.code.keras is None)
    for text in (loss.name, loss.name_zh, *loss.tasks, *loss.inputs.values(), *loss.pitfalls, loss.reference):
        assert text in words
    for param in loss.params.values():
        assert f"allowed: {param.allowed}. {param.meaning}" in words


def test_help_names_every_task_and_property():
    assert cli.TASKS == losses.TASKS and cli.PROPERTIES == losses.PROPERTIES


def test_help_needs_no_torch():
    code = "import sys, lossviz.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "False"


def test_data_says_where_they_are(mnist, capsys):
    assert cli.main(["data"]) == 0
    assert str(mnist) in capsys.readouterr().out


def test_data_that_nobody_has_is_a_sentence(monkeypatch, capsys):
    from lossviz.data import DataError

    def fails(report):
        raise DataError("No mirror answered.")

    monkeypatch.setattr("lossviz.data.fetch", fails)
    assert cli.main(["data"]) == 1
    assert capsys.readouterr().err == "lossviz: No mirror answered.\n"


def test_the_progress_bar_ends_its_line(capsys):
    from lossviz.data import Progress

    show = cli._bar(live=True)
    show(Progress(source="mirror", file="images", done=1, total=4))
    show(Progress(source="mirror", file="images", done=4, total=4))
    first, second = capsys.readouterr().err.removesuffix("\n").split("\r")[1:]
    assert " 25% from mirror" in first and "100% from mirror" in second


def test_train_prints_each_point_and_records_it(mnist, home, capsys):
    arguments = ["train", "--losses", "mse,huber,mse", "--param", "huber.delta=0.5", "--param", "mse#2.x=1"]
    assert cli.main(arguments) == 2
    assert "mse has no parameter 'x'" in capsys.readouterr().err
    assert cli.main([*arguments[:-2], "--epochs", "1", "--batch-size", "500", "--seed", "3", "--json"]) == 0
    started, *middle, done = objects(capsys.readouterr().out)
    run, points = only_run()
    assert (run.id, run.status, run.owner) == (started["run"], "done", "cli")
    assert run.spec.losses[1].params == {"delta": 0.5} and run.spec.seed == 3
    assert started["event"] == "started" and set(started["bridges"]) == {"mse", "huber", "mse#2"}
    names = ["mse", "huber", "mse#2"]
    assert [(e["event"], e["step"], e["loss"], e["metric"], e["value"]) for e in middle] == [
        ("point", point.step, names[point.member], point.metric, point.value) for point in points
    ]
    assert done["event"] == "done" and set(done["test_accuracy"]) == set(names)
    # Twins lie at different rows of one product, whose sums may be rounded differently.
    accuracy = done["test_accuracy"]
    assert accuracy["mse"] == pytest.approx(accuracy["mse#2"], abs=0.002) and accuracy["mse"] > 0.5
    assert 0 < done["seconds"] < done["total_seconds"]


def test_train_from_several_seeds_names_each(mnist, home, capsys):
    arguments = ["train", "--losses", "mse,mae", "--seed", "3", "--seeds", "2", "--epochs", "1", "--batch-size", "1000"]
    assert cli.main([*arguments, "--json"]) == 0
    started, *middle, done = objects(capsys.readouterr().out)
    assert set(started["bridges"]) == {"mse", "mae"} and "4 networks" in started["way"]
    run, points = only_run()
    assert run.spec.seeds == 2 and run.way == started["way"]
    members = [("mse", 3), ("mae", 3), ("mse", 4), ("mae", 4)]
    assert [(event["loss"], event["seed"]) for event in middle] == [members[point.member] for point in points]
    assert list(done["test_accuracy"]) == [f"{loss}, seed {seed}" for loss, seed in members]
    assert cli.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert started["way"] in lines
    assert sum("mae" in line and "seed 4" in line and "test accuracy" in line for line in lines) == 1
    assert cli.main(["runs"]) == 0
    assert capsys.readouterr().out.count("mse, mae, 2 seeds") == 2


def test_train_in_words(mnist, home, capsys):
    assert cli.main(["train", "--losses", "hinge", "--epochs", "1", "--batch-size", "1000", "--optimizer", "sgd"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(f" on {device_name(choose_device())}, 60 steps.")
    assert lines[1].startswith("  hinge: One against the rest")
    assert lines[2].startswith("Epoch   1 of 1  hinge")
    assert cli.main(["runs"]) == 0
    assert "done" in capsys.readouterr().out
    assert cli.main(["runs", "--json"]) == 0
    (listed,) = objects(capsys.readouterr().out)
    assert listed[0]["status"] == "done" and listed[0]["losses"] == ["hinge"]


def test_train_with_formulas(mnist, home, capsys):
    long = "where(pred < target, q, 1) * (pred - target)**2 + 0 * target"
    typed = ["--formula", "abs(pred - target)**p / p", "--formula", long]
    steps = ["--epochs", "1", "--batch-size", "1000"]
    assert (
        cli.main(["train", "--losses", "mse", *typed, "--param", "formula.p=1.5", "--param", "formula#2.q=2", *steps])
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith(
        "  abs(pred - target)**p / p: Softmax probabilities against the one-hot label, the formula"
    )
    ends = [line[16:] for line in lines if line.startswith("Epoch")]
    assert [end.partition("  ")[0].partition(" test")[0] for end in ends] == [
        "mse",
        "abs(pred - target)**p / p",
        "where(pred < target, q, 1) * (pred - ta…",
    ]
    run, _ = only_run()
    assert run.spec.losses[1:] == (
        LossChoice("formula", {"p": 1.5}, "abs(pred - target)**p / p"),
        LossChoice("formula", {"q": 2.0}, long),
    )
    assert cli.main(["runs"]) == 0
    names = "mse, abs(pred - target)**p / p (p=1.5), where(pred < target, q, 1) * (pred - ta… (q=2.0)\n"
    assert capsys.readouterr().out.endswith(names)
    assert cli.main(["runs", "--json"]) == 0
    (listed,) = objects(capsys.readouterr().out)
    assert listed[0]["losses"] == ["mse", "abs(pred - target)**p / p (p=1.5)", f"{long} (q=2.0)"]


def test_a_typed_square_trains_as_mse_does(mnist, home, capsys):
    steps = ["--epochs", "1", "--batch-size", "1000", "--json"]
    found: list[list[tuple[int, str, float]]] = []
    for loss in (["--losses", "mse"], ["--formula", "(pred - target)**2"]):
        assert cli.main(["train", *loss, *steps]) == 0
        points = [event for event in objects(capsys.readouterr().out) if event["event"] == "point"]
        found.append([(point["step"], point["metric"], point["value"]) for point in points])
    mse, ours = found
    assert len(mse) > 20 and mse == ours


def test_the_list_of_runs_needs_no_torch(home):
    store = Store(default_path())
    store.create(RunSpec(losses=(LossChoice("formula", {"p": 1.5}, "abs(pred - target)**p"),)), "cli")
    store.close()
    code = "import sys, lossviz.cli as c; c.main(['runs']); print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "abs(pred - target)**p (p=1.5)" in found.stdout and found.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", ["losses | data | train | runs"]),
        ("paint", ["'paint'"]),
        ("losses hubr", ["'hubr'", "huber"]),
        ("losses huber --task gan", ["leave the loss's key out"]),
        ("losses --task detecton", ["'detecton'", "nearest: detection", "semi-supervised"]),
        ("losses --property robbust", ["'robbust'", "nearest: robust", "needs_pairs"]),
        ("losses --property robust=x", ["'robust=x'", "robust=no"]),
        ("losses --property robust=", ["'robust='", "robust=no"]),
        ("losses --property task", ["'task'", "robust=no"]),
        ("train", ["--losses"]),
        ("train --losses mze", ["'mze'", "mse"]),
        ("train --losses quantile", ["quantile", "allowed", "cross_entropy"]),
        ("train --losses mse,,mae", ["''"]),
        ("train --losses " + ",".join(["mse"] * 9), ["9 entries", "1 to 8"]),
        ("train --losses mse --model resnet", ["'resnet'", "softmax, mlp, cnn"]),
        ("train --losses mse --optimizer adm", ["'adm'", "did you mean adam"]),
        ("train --losses mse --epochs ten", ["'ten'", "1 to 100"]),
        ("train --losses mse --epochs 0", ["epochs is 0", "1 to 100"]),
        ("train --losses mse --batch-size 5000", ["5000", "1 to 2048"]),
        ("train --losses mse --learning-rate NaN", ["nan", "above 0"]),
        ("train --losses mse --learning-rate -1", ["-1", "above 0"]),
        ("train --losses mse --seed -1", ["-1", "0 to 4294967295"]),
        ("train --losses mse --schedule cosin", ["'cosin'", "did you mean cosine"]),
        ("train --losses mse --weight-decay 2", ["weight_decay is 2", "0 to 1"]),
        ("train --losses mse --clip -1", ["clip is -1", "0 to 1000"]),
        ("train --losses mse --seeds 11", ["seeds is 11", "1 to 10"]),
        ("train --losses huber --param huber.delta=-1", ["huber.delta is -1", "allowed"]),
        ("train --losses huber --param huber.delta=NaN", ["huber.delta is nan", "finite"]),
        ("train --losses huber --param delta=1", ["'delta=1'", "huber.delta=0.5"]),
        ("train --losses huber --param mse.delta=1", ["'mse.delta=1'", "one of huber"]),
        ("train --losses mse --speed 3", ["--speed"]),
        ("train --losses formula", ["a formula is None"]),
        ("train --formula pred.real", ["Character 5", "'.' is not part of the language"]),
        ("train --formula target", ["pred does not appear"]),
        ("train --formula " + "-" * 30 + "pred", ["--formula"]),
        ("train --formula=" + "-" * 30 + "pred", ["at most 20 deep"]),
        ("train --formula=" + "pred+" * 60 + "pred", ["at most 200 characters"]),
        ("train --formula log(pred-1)", ["The formula gives no number at prediction 0.1, label 1."]),
        ("train --formula p*pred --param formula.p=1e7", ["formula.p is 10000000.0", "1e+06"]),
        ("train --formula p*pred --param formula.p=NaN", ["formula.p is nan"]),
        ("train --formula p*pred --param formula.q=1", ["'q'", "allowed: p"]),
        ("train --formula p*pred --param mse.q=1", ["'mse.q=1'", "one of formula"]),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(home, capsys, arguments, words):
    try:
        code = cli.main(arguments.split())
    except SystemExit as end:
        code = end.code
    printed = capsys.readouterr()
    assert (code, printed.out) == (2, "")
    assert printed.err.startswith("lossviz: ") and printed.err.count("\n") == 1
    for word in words:
        assert word in printed.err
    assert not default_path().exists()


def test_training_without_data_is_a_sentence_with_the_command(home, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LOSSVIZ_DATA_DIR", str(tmp_path / "nothing"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cli.main(["train", "--losses", "mse"]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1 and "lossviz data" in printed.err
    assert not default_path().exists()


def test_a_thread_count_that_is_none_is_named(mnist, home, monkeypatch, capsys):
    monkeypatch.setenv("LOSSVIZ_THREADS", "many")
    assert cli.main(["train", "--losses", "mse"]) == 2
    assert "LOSSVIZ_THREADS is 'many'" in capsys.readouterr().err


def test_a_store_that_cannot_be_used_is_a_sentence(mnist, home, capsys):
    default_path().write_bytes(b"no store" * 1000)
    for command in (["runs"], ["train", "--losses", "mse"]):
        assert cli.main(command) == 1
        assert capsys.readouterr().err.count("\n") == 1


def test_a_member_that_ends_early_is_null_in_strict_json(mnist, home, monkeypatch, capsys):
    from lossviz.training import Objective

    values = Objective.values
    monkeypatch.setattr(
        Objective, "values", lambda self, *a: values(self, *a) * (float("nan") if self.loss.key == "mae" else 1)
    )
    assert cli.main(["train", "--losses", "mae,mse", "--epochs", "1", "--batch-size", "2000", "--json"]) == 0
    _, *middle, done = objects(capsys.readouterr().out)
    (note,) = [event for event in middle if event["event"] == "note"]
    assert "mae stopped at step 1" in note["message"]
    assert done["test_accuracy"]["mae"] is None and done["test_accuracy"]["mse"] > 0.5
    assert "mae stopped at step 1" in only_run()[0].message


@pytest.mark.parametrize("how", ["interrupt", "reader leaves"])
def test_a_run_cut_short_is_stopped_and_keeps_its_points(mnist, home, how):
    command = [*COMMAND, "train", "--losses", "mse", "--epochs", "100", "--json"]
    environment = {**os.environ, "LOSSVIZ_HOME": str(home)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        for _ in range(4):
            last = process.stdout.readline()
        if how == "interrupt":
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=10)
            assert objects(rest)[-1]["event"] == "stopped"
            assert process.returncode == 130
        else:
            process.stdout.close()
            errors = process.stderr.read()
            process.wait(10)
        assert errors == ""
    run, points = only_run()
    assert run.status == "stopped" and run.message.startswith("Stopped at step")
    assert json.loads(last)["step"] <= points[-1].step == run.step
