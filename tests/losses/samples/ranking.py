import torch
from sampling import Bad, Inputs, Sample, Source, of

ITEMS = 4


def _two(source: Source) -> Inputs:
    return {
        "x1": source.reals(source.rows),
        "x2": source.reals(source.rows),
        "target": source.pick([-1.0, 1.0], source.rows),
    }


def _exchanged(inputs: Inputs, seed: int) -> Inputs:
    return {"x1": inputs["x2"], "x2": inputs["x1"], "target": -inputs["target"]}


def _graded(source: Source) -> Inputs:
    # The first item is the best of each list, so that there is a pair to put in order.
    others = source.pick([0.0, 1.0, 2.0], source.rows, ITEMS - 1)
    relevance = torch.cat([torch.full_like(others[:, :1], 3.0), others], -1)
    return {"scores": source.reals(source.rows, ITEMS), "relevance": relevance}


def _all_different(source: Source) -> Inputs:
    order = source.reals(source.rows, ITEMS).argsort(-1).to(source.dtype)
    return {"scores": source.reals(source.rows, ITEMS), "relevance": order}


def _shuffled(inputs: Inputs, seed: int) -> Inputs:
    order = torch.randperm(inputs["scores"].shape[1], generator=torch.Generator().manual_seed(seed))
    return {name: tensor[:, order] for name, tensor in inputs.items()}


def _lists(dtype: torch.dtype) -> list[Inputs]:
    scores = of(dtype, [500, -500, 0, 1], [0, 0, 0, 0], [-1e6, 1e6, 0, 0])
    return [{"scores": scores, "relevance": of(dtype, *[[3, 2, 1, 0]] * 3)}]


SAMPLES: dict[str, Sample] = {
    "margin_ranking": Sample(
        draw=_two,
        bad=(Bad("target", 0.0, r"target at \(0,\) is 0, allowed: -1 or \+1"),),
        extremes=lambda d: [{"x1": of(d, 1e6, -1e6, 0), "x2": of(d, -1e6, 1e6, 0), "target": of(d, 1, 1, -1)}],
        mirror=_exchanged,
        scales=("x1", "x2"),
    ),
    "ranknet": Sample(draw=_graded, extremes=_lists, rowwise=False, mirror=_shuffled),
    "listnet": Sample(draw=_graded, extremes=_lists, mirror=_shuffled),
    "listmle": Sample(
        draw=_all_different,
        bad=(Bad("relevance", 2.0, r"relevance at \(\d, \d\) is \d, allowed: values that differ within a list"),),
        extremes=_lists,
        mirror=_shuffled,
    ),
    "lambdarank": Sample(
        draw=_graded,
        bad=(Bad("relevance", -1.0, r"relevance at \(0, 0\) is -1, allowed: 0 to 100"),),
        extremes=_lists,
        mirror=_shuffled,
    ),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
