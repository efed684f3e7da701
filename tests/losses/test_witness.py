"""What a counter-example shows on the page refutes the property, by numbers that rounding cannot explain."""

from typing import Any

import pytest
from loss_samples import name_of

import lossviz
from lossviz.losses import CATALOGUE, Loss
from lossviz.losses.entry import Properties
from lossviz.losses.witness import SENTENCES, Witness, witness

DENIED: list[Any] = [
    pytest.param(loss, name, id=f"{name_of(loss)}-{name}")
    for loss in CATALOGUE
    for name in Properties.__dataclass_fields__
    if getattr(loss.properties, name).counter_example
]
KINDS = {
    "convex_in_pred": {"chord"},
    "convex_in_logits": {"chord"},
    "bounded": {"unbounded"},
    "lipschitz": {"steep"},
    "smooth": {"kink"},
    "robust": {"pull", "outvoted", "labels"},
    "symmetric": {"mirror"},
    "proper": {"forecast"},
    "calibrated": {"decision", "answer"},
    "scale_invariant": {"doubled", "doubled_both"},
}


def refutes(shown: Witness) -> bool:
    match shown.kind, shown.numbers:
        case "chord", {"middle": middle, "chord": chord}:
            return middle - chord > 1e-3
        case "unbounded", {"value": value}:
            return value > 300
        case "steep", {"slope": slope}:
            return slope > 1e5
        case "kink", {"distance": distance, "change": change}:
            return change > 1e6 * distance
        case "outvoted", {"pull": pull}:
            return pull > 1e-3
        case "pull", {"slope": slope}:
            return slope > 1e3
        case "forecast", {"honest": honest, "other": other}:
            return honest - other > 1e-3
        case "decision" | "answer", {"lead": lead}:
            return lead <= 0
        case _, numbers:
            first, second = numbers.values()
            return abs(first - second) > 1e-3 * (1 + abs(first))


@pytest.mark.parametrize(("loss", "name"), DENIED)
def test_the_numbers_refute_the_property(loss: Loss, name: str) -> None:
    shown = witness(loss, name)
    assert shown.kind in KINDS[name] and refutes(shown)
    assert all(f"{{{part}}}" in SENTENCES[shown.kind] for part in shown.numbers)
    if shown.segment is None:
        assert not name.startswith("convex")
        return
    middle, chord = shown.segment[40].item(), (shown.segment[0] + shown.segment[-1]).item() / 2
    assert len(shown.segment) == 81 and shown.numbers == {"middle": middle, "chord": chord}


def test_only_what_is_denied_has_a_witness() -> None:
    with pytest.raises(ValueError, match="huber: convex_in_pred is not denied"):
        witness(lossviz.get("huber"), "convex_in_pred")


def test_every_sentence_is_used() -> None:
    assert {witness(loss, name).kind for loss, name in (case.values for case in DENIED)} == set(SENTENCES)
