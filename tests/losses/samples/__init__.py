"""How to draw inputs of each loss: one file a family, named like the family's file."""

from types import ModuleType

from sampling import Sample

from samples import (
    adaptive,
    adversarial,
    angular,
    binary,
    classification,
    contrastive,
    detection,
    deviance,
    divergences,
    gan,
    generative,
    joint,
    margins,
    metric,
    multiclass,
    multitask,
    noise_robust,
    ranking,
    regression,
    robust,
    segmentation,
    semisupervised,
    sequence,
    similarity,
    sparse,
    sparse_maps,
    transport,
)

FAMILIES: dict[str, ModuleType] = {
    module.__name__.removeprefix("samples."): module
    for module in (
        adaptive,
        adversarial,
        angular,
        binary,
        classification,
        contrastive,
        detection,
        deviance,
        divergences,
        gan,
        generative,
        joint,
        margins,
        metric,
        multiclass,
        multitask,
        noise_robust,
        ranking,
        regression,
        robust,
        segmentation,
        semisupervised,
        sequence,
        similarity,
        sparse,
        sparse_maps,
        transport,
    )
}
SAMPLES: dict[str, Sample] = {key: sample for family in FAMILIES.values() for key, sample in family.SAMPLES.items()}
MISSING: list[str] = [key for family in FAMILIES.values() for key in family.MISSING]
