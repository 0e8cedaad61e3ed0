"""Analyses of a small network, in the order in which one would run them."""

from study.attention import attention, overlap
from study.derived import dominant, sharpness
from study.embeddings import projection, spectrum, token_norms
from study.neurons import activations, sparsity
from study.outputs import inventory, logits
from study.runs import drift, trajectory

OF_A_CHECKPOINT = (
    token_norms,
    spectrum,
    projection,
    activations,
    attention,
    logits,
    inventory,
    dominant,
    sharpness,
    sparsity,
    overlap,
)
OF_CHECKPOINTS = (drift,)
OF_A_RUN = (trajectory,)
