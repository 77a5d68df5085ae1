"""Attention that is fast where PyTorch's is not, and the layer of which one token is asked: the same as theirs."""

import copy

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from synchformer.modeling.attention import Attention, attend, summarize
from synchformer.modeling.layers import Aggregator, encoder_block


def drawn(*shape, dtype=torch.float32, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.mark.parametrize("queries", [1, 7])
def test_attention_is_pytorchs(queries):
    q, k, v = drawn(3, 2, queries, 8), drawn(3, 2, 7, 8, seed=1), drawn(3, 2, 7, 8, seed=2)
    exact = scaled_dot_product_attention(q, k, v)
    assert torch.equal(attend(q, k, v), exact)
    half = attend(*(part.bfloat16() for part in (q, k, v)))
    assert half.dtype == torch.bfloat16
    assert (half.float() - exact).abs().max() < 0.03


def test_gradients_in_bfloat16_are_those_in_float32():
    parts = [drawn(3, 2, 7, 8, seed=seed) for seed in range(3)]
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        leaves = [part.detach().to(dtype, copy=True).requires_grad_() for part in parts]
        attend(*leaves).square().sum().backward()
        found.append([leaf.grad.detach().float() for leaf in leaves])
    for one, other in zip(*found, strict=True):
        assert (one - other).norm() < 0.03 * one.norm()


def test_a_layer_is_timms():
    from timm.models.vision_transformer import Block

    torch.manual_seed(0)
    ours = encoder_block(16, 2, 4, 1e-6)
    theirs = Block(16, 2, qkv_bias=True)
    theirs.load_state_dict(ours.state_dict())
    tokens = drawn(3, 5, 16)
    assert torch.allclose(ours(tokens), theirs(tokens), atol=1e-5)
    assert torch.allclose(summarize(ours, tokens), ours(tokens)[:, 0], atol=1e-5)


def test_gradients_of_a_summary_are_those_of_the_whole_layer():
    torch.manual_seed(0)
    block = encoder_block(16, 2, 4, 1e-6)
    other = copy.deepcopy(block)
    tokens = drawn(3, 5, 16)
    summarize(block, tokens).square().sum().backward()
    other(tokens)[:, 0].square().sum().backward()
    for one, two in zip(block.parameters(), other.parameters(), strict=True):
        assert torch.allclose(one.grad, two.grad, atol=2e-5)


def test_an_aggregator_is_its_layer_on_all_tokens():
    torch.manual_seed(0)
    aggregator = Aggregator(16, 2, 4)
    tokens = drawn(3, 5, 16)
    whole = aggregator.block(torch.cat([aggregator.token.expand(3, -1, -1), tokens], dim=1))[:, 0]
    assert torch.allclose(aggregator(tokens), whole, atol=1e-6)


def test_masks_are_refused():
    with pytest.raises(ValueError, match="no masks"):
        Attention(16, 2)(drawn(1, 3, 16), is_causal=True)
