"""A small step in the wrong direction: an input, a box around it, and attacks that climb a toy network's loss.

Every loss has its own attack: FGSM, PGD and VAT that of their parameters; TRADES and MART, which are given two answers,
that of PGD on the cross-entropy with the scene's ``epsilon``, ``step_size`` and ``steps``.
Numbers by loss: ``loss``; ``clean`` and ``attacked``, the cross-entropy of the input and of the attacked one;
``epsilon``, how far this loss's attack may go; ``class.before`` and ``class.after``, the predicted classes from 1;
``gradient.x1`` and ``gradient.x2`` of the loss by the input, the move of the attack held; ``term.1`` and ``term.2``,
the two that TRADES and MART are the sum of.
Arrays by view (L losses in the order asked, all float64 until they are sent):
``attack``: for each loss ``attack:<key>``, where the attack has been, ``(M, 2)``, the input first, and ``climb:<key>``,
the cross-entropy there, ``(M,)``.
``arrow:<key>``: the input, and where a gradient step takes it, ``(2, 2)``.
``surface:<key>``: over the unit square, ``(S, S)``, the second coordinate along the first axis: the cross-entropy of an
input there, or the loss with its attack, as the option ``map`` says. ``boundary:<key>``: by how much the logit of class
2 exceeds that of class 1, ``(S, S)``.
``digit:<key>``: where MNIST is on disk, the chosen digit, the move of this loss's attack on a softmax layer, and the
attacked digit, ``(3, 784)``; then also the numbers ``digit.loss``, ``digit.clean`` and ``digit.attacked``
(cross-entropies) and ``digit.before`` and ``digit.after`` (the digits predicted).
Two directions lead from the digit: along its attack, where 1 is the attack's end, and across it, a random direction at
a right angle to it and as long, the same one each time the digit is chosen. An attack that moves nothing has no plane.
``plane:<key>``: over along and across, ``(2, T, T)``, across along the middle axis: the cross-entropy of a digit there,
or the loss whose attack ends there, as the option ``map`` says; and by how much the label's logit exceeds all others.
``at:<key>``: the digit at the handles ``along`` and ``across``, ``(784,)``; then also the numbers ``at.loss``,
``at.clean``, the cross-entropy, and ``at.class``, the digit predicted.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from lossviz.losses import get
from lossviz.losses.entry import Choice, Loss, Model, Number
from lossviz.losses.proof import STEP, Proof, prove
from lossviz.scenes import digitnet, toynet
from lossviz.scenes.scene import ARROWS, RATE, Frame, Handle, Params, Scene, Values, line_values, stepped

X1 = Handle("x1", "Input, first coordinate", 0.0, 1.0, 0.01, 0.24)
X2 = Handle("x2", "Input, second coordinate", 0.0, 1.0, 0.01, 0.63)
EPSILON = Handle("epsilon", "How far an attack may go", 0.0, 0.5, 0.01, 0.1)
LABEL = Handle("label", "Label", 1, toynet.CLASSES, 1, 1, whole=True)
PLANE_REACH = 2.0
ALONG = Handle("along", "Along the attack", -PLANE_REACH, PLANE_REACH, 0.1, 0.0)
ACROSS = Handle("across", "Across it, in a random direction", -PLANE_REACH, PLANE_REACH, 0.1, 1.0)
PLANE_SIDE = 31
WAYS = PLANE_REACH * (torch.arange(PLANE_SIDE, dtype=torch.float64) / (PLANE_SIDE // 2) - 1)
AROUND = torch.cartesian_prod(WAYS, WAYS).flip(-1)
HERE = len(AROUND) // 2
"""The place in the middle of the plane, which is the digit itself."""
SIDE = 51
GRID = torch.arange(SIDE, dtype=torch.float64) / (SIDE - 1)
PLACES = torch.cartesian_prod(GRID, GRID).flip(-1)
FIRST_DIRECTION = (0.6, -0.8)
"""Where the power iteration of VAT begins."""


def inputs(handles: Values, loss: Loss) -> dict[str, Any]:
    """Return the network with the input ``(1, 2)`` and what else the loss takes, or the logits of both inputs."""
    x = _input(handles)
    return _inputs(loss, x, _climb(loss, handles, {})[0][-1:] if loss.outputs is None else x, handles)


def _input(handles: Values) -> Tensor:
    return torch.tensor([[handles["x1"], handles["x2"]]], dtype=torch.float64)


def _target(handles: Values, rows: int = 1) -> Tensor:
    return torch.full((rows,), int(handles["label"]) - 1)


def _inputs(loss: Loss, x: Tensor, attacked: Tensor, handles: Values) -> dict[str, Any]:
    """What the loss takes at each row of ``x``; one that is given two answers also needs the attacked rows."""
    net, target = toynet.network(), _target(handles, len(x))
    if loss.input_kind == "model":
        return {"model": net, "x": x, "target": target}
    if loss.input_kind == "model_directions":
        return {"model": net, "x": x, "d0": torch.tensor([FIRST_DIRECTION], dtype=torch.float64).expand_as(x)}
    with torch.no_grad():
        return {"clean": net(x), "adv": net(attacked), "target": target}


def _attack(loss: Loss, handles: Values, params: Mapping[str, Any]) -> tuple[Loss, Mapping[str, Any]]:
    """The loss whose attack is meant, and its parameters: one that is given two answers leaves that to PGD."""
    if loss.outputs is not None:
        return loss, params
    own = {name: handles[name] for name in ("epsilon", "step_size", "steps")}
    return get("pgd_ce"), get("pgd_ce").resolve(own)


def _attacked(loss: Loss, x: Tensor, handles: Values, params: Mapping[str, Any], model: Model) -> Tensor:
    """Where the attack of this loss takes each row of ``x``, by the catalogue's own code."""
    attack, chosen = _attack(loss, handles, params)
    assert attack.outputs is not None
    made = attack.outputs(**{**_inputs(attack, x, x, handles), "model": model}, **chosen)
    return x + made["r_adv"] if "r_adv" in made else made["x_adv"]


def _climb(loss: Loss, handles: Values, params: Mapping[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Where the attack has been, ``(M, 2)``, the network's logits there and the cross-entropies, ``(M,)``."""
    attack, chosen = _attack(loss, handles, params)
    return _climbed(attack.key, json.dumps(chosen), handles["x1"], handles["x2"], int(handles["label"]))


@lru_cache(64)
def _climbed(key: str, params: str, x1: float, x2: float, label: int) -> tuple[Tensor, Tensor, Tensor]:
    """The same for every loss that is given this attack: what takes longest here is asking the network for slopes."""
    handles = {"x1": x1, "x2": x2, "label": label}
    attack, net, x = get(key), toynet.network(), _input(handles)
    seen: list[Tensor] = []

    def watched(at: Tensor) -> Tensor:
        seen.append(at.detach().clone())
        return net(at)

    end = _attacked(attack, x, handles, json.loads(params), watched)
    # VAT asks for answers next to the input only, to find a direction.
    path = torch.cat([x, end] if attack.input_kind == "model_directions" else [*(seen or [x]), end])
    with torch.no_grad():
        logits: Tensor = net(path)
    return path, logits, _cross_entropy(logits, _target(handles, len(path)))


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    loss = get("cross_entropy")
    weight = torch.ones(logits.shape[-1], dtype=logits.dtype)
    return loss.fn(pred=logits, target=target, weight=weight, **loss.resolve())


def _digit(frame: Frame, loss: Loss, handles: Values, params: Mapping[str, Any], wanted: Sequence[str]) -> None:
    """The same attack on a picture of a digit, whose label is the digit it shows."""
    if f"digit:{loss.key}" not in wanted:
        return
    every = _digit_inputs(handles["digit"])
    x, target, attacked = every["x"], every["target"], _attacked_digit(loss, handles, params)
    with torch.no_grad():
        logits: Tensor = every["model"](torch.cat([x, attacked]))
    value = _of_answers(loss, logits[:1], logits[1:], target, params)
    clean, after = _cross_entropy(logits, target.expand(2))
    frame.arrays[f"digit:{loss.key}"] = torch.cat([x, attacked - x, attacked])
    frame.numbers[loss.key] |= {
        "digit.loss": value.item(),
        "digit.clean": clean.item(),
        "digit.attacked": after.item(),
        "digit.before": float(logits[0].argmax()),
        "digit.after": float(logits[1].argmax()),
    }


@lru_cache(8)
def _digit_inputs(at: int) -> dict[str, Any]:
    """Whatever an attack takes, of the digit ``at``."""
    images, labels = digitnet.digits()
    x = images[at : at + 1]
    d0 = torch.randn(x.shape, generator=torch.Generator().manual_seed(at), dtype=x.dtype)
    return {"model": digitnet.network(), "x": x, "target": labels[at : at + 1], "d0": d0}


def _attacked_digit(loss: Loss, handles: Values, params: Mapping[str, Any]) -> Tensor:
    attack, chosen = _attack(loss, handles, params)
    return _end_of_attack(attack.key, json.dumps(chosen), handles["digit"])


@lru_cache(64)
def _end_of_attack(key: str, params: str, at: int) -> Tensor:
    """The digit ``at`` after an attack, ``(1, 784)``: the same one while a finger walks over the plane."""
    attack, every = get(key), _digit_inputs(at)
    assert attack.outputs is not None
    made = attack.outputs(**{name: every[name] for name in attack.inputs}, **json.loads(params))
    return every["x"] + made["r_adv"] if "r_adv" in made else made["x_adv"]


def _plane(frame: Frame, loss: Loss, handles: Values, params: Mapping[str, Any], wanted: Sequence[str]) -> None:
    """The plane through the digit, its attack's end and a random place as far away."""
    every = _digit_inputs(handles["digit"])
    net, x, target = every["model"], every["x"], every["target"]
    ways = _directions(_attacked_digit(loss, handles, params) - x, handles["digit"])
    if ways is None:
        return
    if f"at:{loss.key}" in wanted:
        here = x + torch.tensor([[handles["along"], handles["across"]]], dtype=x.dtype) @ ways
        with torch.no_grad():
            logits: Tensor = net(torch.cat([x, here]))
        frame.arrays[f"at:{loss.key}"] = here[0]
        frame.numbers[loss.key] |= {
            "at.loss": _of_answers(loss, logits[:1], logits[1:], target, params).item(),
            "at.clean": _cross_entropy(logits[1:], target).item(),
            "at.class": float(logits[1].argmax()),
        }
    if f"plane:{loss.key}" in wanted:
        with torch.no_grad():
            after: Tensor = net(torch.addmm(x, AROUND, ways))
        clean, label = after[HERE].expand_as(after), target.expand(len(after))
        own_loss = handles["map"] == "attacked"
        shown = _of_answers(loss, clean, after, label, params) if own_loss else _cross_entropy(after, label)
        own = after[:, target]
        others = after.index_fill(-1, target, -torch.inf).amax(-1, keepdim=True)
        frame.arrays[f"plane:{loss.key}"] = torch.stack([shown, (own - others)[:, 0]]).reshape(2, *[PLANE_SIDE] * 2)


def _directions(move: Tensor, at: int) -> Tensor | None:
    """The move ``(1, D)`` and a random one at a right angle to it, as long: ``(2, D)``; ``None`` without a move."""
    length = _length(move)
    if not length > 0:
        return None
    # Not the numbers with which VAT begins its search for a direction.
    generator = torch.Generator().manual_seed(digitnet.SHOWN + at)
    other = torch.randn(move.shape, generator=generator, dtype=move.dtype)
    along = move / length
    for _ in range(2):  # the second time takes away what rounding has left
        other = other - (other * along).sum() * along
    return torch.cat([move, length / _length(other) * other])


def _length(vector: Tensor) -> Tensor:
    return vector.square().sum().sqrt()


def _with_move_held(loss: Loss, x: Tensor, move: Tensor, handles: Values, params: Mapping[str, Any]) -> Tensor:
    """The loss of each row as a function of the input alone, however the move came about."""
    net, target = toynet.network(), _target(handles, len(x))
    after = net(x + move)
    return _of_answers(loss, after if loss.input_kind == "model" else net(x), after, target, params)


def _of_answers(loss: Loss, clean: Tensor, after: Tensor, target: Tensor, params: Mapping[str, Any]) -> Tensor:
    """The loss of each row where the network gives these logits to the input and to where the attack ended."""
    if loss.input_kind == "clean_adversarial":
        return loss.fn(clean=clean, adv=after, target=target, **params)
    if loss.input_kind == "model_directions":
        return get("kl_divergence").fn(pred=after.softmax(-1), target=clean.softmax(-1))
    return _cross_entropy(after, target)


def _value_and_slope(loss: Loss, path: Tensor, handles: Values, params: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """The loss and its gradient by the input, ``(2,)``."""
    with torch.inference_mode(False), torch.enable_grad():
        leaf = path[:1].clone().requires_grad_()
        move = (path[-1:] - path[:1]).clone()
        value = _with_move_held(loss, leaf, move, handles, params).sum()
        (slope,) = torch.autograd.grad(value, leaf)
    return value.detach(), slope[0]


def views(losses: Sequence[Loss], handles: Values, params: Params, wanted: Sequence[str]) -> Frame:
    """Evaluate ``losses`` at the handles; see the module for numbers and arrays."""
    frame = Frame()
    x = _input(handles)
    for loss in losses:
        chosen = loss.resolve(params.get(loss.key, {}))
        path, logits, climb = _climb(loss, handles, chosen)
        named = _inputs(loss, x, path[-1:], handles)
        try:
            loss.check(named, chosen)
        except ValueError as error:
            frame.notes[loss.key] = str(error)
            continue
        value, slope = _value_and_slope(loss, path, handles, chosen)
        frame.numbers[loss.key] = {
            "loss": value.item(),
            "clean": climb[0].item(),
            "attacked": climb[-1].item(),
            "epsilon": float(chosen.get("epsilon", handles["epsilon"])),
            "class.before": float(logits[0].argmax() + 1),
            "class.after": float(logits[-1].argmax() + 1),
            "gradient.x1": slope[0].item(),
            "gradient.x2": slope[1].item(),
        }
        frame.numbers[loss.key] |= _terms(loss, value, named, chosen)
        if "attack" in wanted:
            frame.arrays.update({f"attack:{loss.key}": path, f"climb:{loss.key}": climb})
        if f"arrow:{loss.key}" in wanted:
            frame.arrays[f"arrow:{loss.key}"] = torch.stack([x[0], x[0] - handles["rate"] * slope])
        if f"formula:{loss.key}" in wanted:
            # The last line is the loss itself.
            frame.lines[loss.key] = [*line_values(loss.formula[:-1], named, chosen), [value.item()]]
        if f"proof:{loss.key}" in wanted:
            frame.proofs[loss.key] = _proof(loss, path, handles, chosen)
        if {f"{view}:{loss.key}" for view in ("digit", "plane", "at")} & set(wanted) and digitnet.available():
            _digit(frame, loss, handles, chosen, wanted)
            _plane(frame, loss, handles, chosen, wanted)
    _maps(frame, losses, handles, params, wanted)
    return frame


def _maps(frame: Frame, losses: Sequence[Loss], handles: Values, params: Params, wanted: Sequence[str]) -> None:
    for loss in losses:
        chosen = loss.resolve(params.get(loss.key, {}))
        with torch.no_grad():
            if f"boundary:{loss.key}" in wanted:
                logits: Tensor = toynet.network()(PLACES)
                frame.arrays[f"boundary:{loss.key}"] = (logits[:, 1] - logits[:, 0]).reshape(SIDE, SIDE)
            if f"surface:{loss.key}" in wanted:
                frame.arrays[f"surface:{loss.key}"] = _surface(loss, PLACES, handles, chosen).reshape(SIDE, SIDE)


def _surface(loss: Loss, places: Tensor, handles: Values, params: Mapping[str, Any]) -> Tensor:
    if handles["map"] == "clean":
        return _cross_entropy(toynet.network()(places), _target(handles, len(places)))
    attacked = _attacked(loss, places, handles, params, toynet.network()) if loss.outputs is None else places
    named = _inputs(loss, places, attacked, handles)
    try:
        loss.check(named, params)
    except ValueError:
        return torch.full((len(places),), torch.nan, dtype=torch.float64)
    return loss.fn(**named, **params)


def _terms(loss: Loss, value: Tensor, named: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, float]:
    """The first line of the formula of TRADES and of MART is one term of the two; the other is what is left."""
    if loss.input_kind != "clean_adversarial":
        return {}
    first = loss.formula[0].value(**named, **params).sum()
    return {"term.1": first.item(), "term.2": (value - first).item()}


def step(loss: Loss, handles: Values, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the input after one step against the gradient: away from where the loss is high."""
    _, slope = _value_and_slope(loss, _climb(loss, handles, params)[0], handles, params)
    return {h.name: stepped(h, handles[h.name], slope[i].item(), handles["rate"]) for i, h in enumerate((X1, X2))}


def _proof(loss: Loss, path: Tensor, handles: Values, params: Mapping[str, Any]) -> Proof:
    """By the first coordinate where logits are given; by a weight, the last bias, where only weights have gradients."""
    x, end = path[:1], path[-1:]
    named = _inputs(loss, x, end, handles)
    if "model" in named:
        return _proof_by_weight(loss, named, params)
    net = toynet.network()

    def at(first: float) -> dict[str, Any]:
        place = torch.tensor([[first, handles["x2"]]], dtype=torch.float64)
        return _inputs(loss, place, place + (end - x), handles)

    rates = {name: _by_first(net, place) for name, place in (("clean", x), ("adv", end))}
    return prove(loss, at, handles["x1"], params, rates)


def _by_first(net: nn.Module, place: Tensor) -> Tensor:
    """How fast each logit ``(1, K)`` changes with the first coordinate of ``place``."""
    with torch.inference_mode(False), torch.enable_grad():
        leaf = place.clone().requires_grad_()
        logits: Tensor = net(leaf)
        slopes = [torch.autograd.grad(logit, leaf, retain_graph=True)[0][0, 0] for logit in logits[0]]
    return torch.stack(slopes)[None]


def _proof_by_weight(loss: Loss, named: Mapping[str, Any], params: Mapping[str, Any]) -> Proof:
    """Networks that differ in that bias alone are attacked all at once, a row each: rows know nothing of each other."""
    net: nn.Module = named["model"]
    rows = {name: value.expand(3, *value.shape[1:]) for name, value in named.items() if name != "model"}
    with torch.inference_mode(False), torch.enable_grad():
        biases = torch.tensor([0.0, -STEP, STEP], dtype=torch.float64).requires_grad_()

        def shifted(x: Tensor) -> Tensor:
            logits: Tensor = net(x)
            return torch.cat([logits[:, :1] + biases[:, None], logits[:, 1:]], -1)

        values = loss.fn(model=shifted, **rows, **params)
        (slopes,) = torch.autograd.grad(values[0], biases)
    value, behind, ahead = (value.item() for value in values.detach())
    left, right = (value - behind) / STEP, (ahead - value) / STEP
    return Proof(None, slopes[0].item(), left, right, None, loss.detached)


PERTURBATION = Scene(
    key="perturbation",
    name="Perturbation",
    task="Drag the input, then the edge of its box: how small a change makes the network err?",
    handles=(X1, X2, EPSILON, LABEL, ALONG, ACROSS),
    input_kinds=("model", "model_directions", "clean_adversarial"),
    view_names=("attack", "arrow", "surface", "boundary", "digit", "plane", "at", "formula", "proof"),
    inputs=inputs,
    views=views,
    opening=("pgd_ce", "fgsm_ce", "trades", "mart"),
    options={
        "digit": Number("Which of MNIST's test images is attacked.", 4, 0, digitnet.SHOWN - 1, integer=True),
        "map": Choice("The cross-entropy of each input, or the loss with its attack.", "clean", ("clean", "attacked")),
        "step_size": Number("One step of the attack that TRADES and MART are given.", 0.03, 0.0, 0.5),
        "steps": Number("Steps of the attack that TRADES and MART are given.", 7, 0, 50, integer=True),
        "rate": Number(RATE.meaning, 0.002, RATE.low / 100, RATE.high / 10, "log"),
        "arrows": ARROWS,
    },
    step=step,
)
