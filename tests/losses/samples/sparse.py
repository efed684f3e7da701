from sampling import Sample

SAMPLES: dict[str, Sample] = {}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ("l1_penalty", "elastic_net", "group_lasso", "ohem_topk", "kl_sparsity")
