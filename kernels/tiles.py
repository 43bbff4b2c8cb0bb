"""Parts that the attention kernels share: tiles of rows in and out, scores, and the walk over keys with online softmax
(FlashAttention-2, Dao, 2023, https://arxiv.org/abs/2307.08691).

A head dimension is WIDE + REST columns (`launch.split`), so a tile is a pair; where REST is 0 its second half is never
read. ALIGN divides the length: a tile no longer than that needs no mask. Strides are those of (B, H, L, D).
"""

# pyright: reportArgumentType=false, reportCallIssue=false
# Constants of kernels are plain numbers to those who call them.

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def place(tile_rows: tl.constexpr, length, heads):
    """First row, batch and head of this program.

    One axis carries all: the others end at 65535, which heads of short sequences exceed.
    """
    tiles = tl.cdiv(length, tile_rows)
    program = tl.program_id(0)
    return (program % tiles) * tile_rows, program // tiles // heads, (program // tiles) % heads


@triton.jit
def at(base, batch, head, strides):
    """Where a head begins; 64 bits, as offsets of videos do not fit 32."""
    return base + tl.cast(batch, tl.int64) * strides[0] + tl.cast(head, tl.int64) * strides[1]


@triton.jit
def known(strides, EIGHTS: tl.constexpr):
    """Strides, told to the compiler to be multiples of 8 where they are: it then reads 16 bytes at once, and ahead.

    By itself it notices multiples of 16, and heads of 40 lie 40 apart.
    """
    if EIGHTS:
        strides = (strides[0] // 8 * 8, strides[1] // 8 * 8, strides[2] // 8 * 8, strides[3])
    return strides


@triton.jit
def load(
    base,
    first,
    length,
    strides,
    ROWS: tl.constexpr,
    COLUMN: tl.constexpr,
    COLUMNS: tl.constexpr,
    HEAD: tl.constexpr,
    ALIGN: tl.constexpr,
    WIDEN: tl.constexpr,
):
    """Columns COLUMN to COLUMN + COLUMNS of ROWS rows; zeros beyond the head and the length."""
    rows = tl.arange(0, ROWS)[:, None]
    columns = COLUMN + tl.arange(0, COLUMNS)[None, :]
    pointers = base + tl.cast(first, tl.int64) * strides[2] + rows * strides[2] + columns * strides[3]
    if ROWS <= ALIGN and COLUMN + COLUMNS <= HEAD:
        tile = tl.load(pointers)
    elif ROWS <= ALIGN:
        tile = tl.load(pointers, mask=(rows >= 0) & (columns < HEAD), other=0.0)
    else:
        tile = tl.load(pointers, mask=(first + rows < length) & (columns < HEAD), other=0.0)
    if WIDEN:
        tile = tile.to(tl.float32)
    return tile


@triton.jit
def load_pair(
    base,
    first,
    length,
    strides,
    ROWS: tl.constexpr,
    WIDE: tl.constexpr,
    REST: tl.constexpr,
    HEAD: tl.constexpr,
    ALIGN: tl.constexpr,
    WIDEN: tl.constexpr,
):
    wide = load(base, first, length, strides, ROWS, 0, WIDE, HEAD, ALIGN, WIDEN)
    rest = wide
    if REST:
        rest = load(base, first, length, strides, ROWS, WIDE, REST, HEAD, ALIGN, WIDEN)
    return wide, rest


@triton.jit
def described(base, length, strides, ROWS: tl.constexpr, WIDE: tl.constexpr, REST: tl.constexpr, HEAD: tl.constexpr):
    """What the tensor memory accelerator (TMA) is told of a head, one descriptor for each half of a tile."""
    wide = tl.make_tensor_descriptor(base, [length, HEAD], [strides[2], 1], [ROWS, WIDE])
    rest = wide
    if REST:
        rest = tl.make_tensor_descriptor(base, [length, HEAD], [strides[2], 1], [ROWS, REST])
    return wide, rest


@triton.jit
def fetch_pair(halves, first, WIDE: tl.constexpr, REST: tl.constexpr):
    """As `load_pair`, by descriptors: one thread asks for a tile, zeros beyond the head and the length come with it."""
    wide = halves[0].load([first, 0])
    rest = wide
    if REST:
        rest = halves[1].load([first, WIDE])
    return wide, rest


@triton.jit
def store(
    base,
    tile,
    first,
    length,
    strides,
    ROWS: tl.constexpr,
    COLUMN: tl.constexpr,
    COLUMNS: tl.constexpr,
    HEAD: tl.constexpr,
):
    rows = tl.arange(0, ROWS)[:, None]
    columns = COLUMN + tl.arange(0, COLUMNS)[None, :]
    pointers = base + tl.cast(first, tl.int64) * strides[2] + rows * strides[2] + columns * strides[3]
    tl.store(pointers, tile.to(base.dtype.element_ty), mask=(first + rows < length) & (columns < HEAD))


@triton.jit
def store_pair(
    base,
    wide,
    rest,
    first,
    length,
    strides,
    ROWS: tl.constexpr,
    WIDE: tl.constexpr,
    REST: tl.constexpr,
    HEAD: tl.constexpr,
):
    store(base, wide, first, length, strides, ROWS, 0, WIDE, HEAD)
    if REST:
        store(base, rest, first, length, strides, ROWS, WIDE, REST, HEAD)


@triton.jit
def inner(a1, a2, b1, b2, REST: tl.constexpr):
    """Products of the rows of two pairs, a b^T."""
    found = tl.dot(a1, tl.trans(b1), input_precision="ieee")
    if REST:
        found = tl.dot(a2, tl.trans(b2), found, input_precision="ieee")
    return found


@triton.jit
def added(total1, total2, weights, b1, b2, REST: tl.constexpr):
    """total + weights b, for a pair b."""
    total1 = tl.dot(weights, b1, total1, input_precision="ieee")
    if REST:
        total2 = tl.dot(weights, b2, total2, input_precision="ieee")
    return total1, total2


@triton.jit
def zeros_pair(ROWS: tl.constexpr, WIDE: tl.constexpr, REST: tl.constexpr):
    wide = tl.zeros([ROWS, WIDE], tl.float32)
    rest = wide
    if REST:
        rest = tl.zeros([ROWS, REST], tl.float32)
    return wide, rest


@triton.jit
def shown(
    scores,
    queries,
    keys,
    n_queries,
    n_keys,
    bias,
    bias_strides,
    BIAS: tl.constexpr,
    CAUSAL: tl.constexpr,
    WHOLE: tl.constexpr,
):
    """Scores with bias (BIAS 1) or mask (BIAS 2), -inf where a query does not see a key.

    `queries` and `keys` are indices shaped to broadcast against the scores, so that either may be the rows.
    """
    if BIAS:
        pointers = bias + queries.to(tl.int64) * bias_strides[2] + keys.to(tl.int64) * bias_strides[3]
        given = tl.load(pointers, mask=(queries < n_queries) & (keys < n_keys), other=0)
        if BIAS == 1:
            scores += given.to(tl.float32) * 1.4426950408889634
        else:
            scores = tl.where(given != 0, scores, float("-inf"))
    if not WHOLE:
        scores = tl.where(keys < n_keys, scores, float("-inf"))
    if CAUSAL:
        scores = tl.where(keys <= queries, scores, float("-inf"))
    return scores


@triton.jit
def stop(order, step, BLOCK: tl.constexpr, TILE: tl.constexpr):
    """First row of the tile at a step: one after the other, or block by block as `order` lists them."""
    first = step * TILE
    if BLOCK:
        first = tl.load(order + step // (BLOCK // TILE)) * BLOCK + step % (BLOCK // TILE) * TILE
    return first


@triton.jit
def attend(
    q1,
    q2,
    queries,
    k,
    v,
    k_strides,
    v_strides,
    bias,
    bias_strides,
    order,
    steps,
    n_queries,
    n_keys,
    scale,
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
    WIDE: tl.constexpr,
    REST: tl.constexpr,
    HEAD: tl.constexpr,
    ALIGN: tl.constexpr,
    WIDEN: tl.constexpr,
    BIAS: tl.constexpr,
    CAUSAL: tl.constexpr,
    BLOCK: tl.constexpr,
    TMA: tl.constexpr = False,
):
    """Softmax(q k^T scale + bias) v over the tiles of keys at `steps`, and the log2-sum-exp2 of each row.

    A row that sees no key is zero, and its log is -inf. The running maximum begins finite, so that no -inf is ever
    taken from -inf.
    """
    top = tl.full([QUERIES], -1e30, tl.float32)
    total = tl.zeros([QUERIES], tl.float32)
    out1, out2 = zeros_pair(QUERIES, WIDE, REST)
    if TMA:
        k_halves = described(k, n_keys, k_strides, KEYS, WIDE, REST, HEAD)
        v_halves = described(v, n_keys, v_strides, KEYS, WIDE, REST, HEAD)
    for step in range(0, steps):
        first = stop(order, step, BLOCK, KEYS)
        if TMA:
            k1, k2 = fetch_pair(k_halves, first, WIDE, REST)
        else:
            k1, k2 = load_pair(k, first, n_keys, k_strides, KEYS, WIDE, REST, HEAD, ALIGN, WIDEN)
        scores = inner(q1, q2, k1, k2, REST) * scale
        keys = first + tl.arange(0, KEYS)
        scores = shown(
            scores, queries[:, None], keys[None, :], n_queries, n_keys, bias, bias_strides, BIAS, CAUSAL, KEYS <= ALIGN
        )
        higher = tl.maximum(top, tl.max(scores, 1))
        weights = tl.exp2(scores - higher[:, None])
        fade = tl.exp2(top - higher)
        total = total * fade + tl.sum(weights, 1)
        if TMA:
            v1, v2 = fetch_pair(v_halves, first, WIDE, REST)
        else:
            v1, v2 = load_pair(v, first, n_keys, v_strides, KEYS, WIDE, REST, HEAD, ALIGN, WIDEN)
        out1 = out1 * fade[:, None]
        if REST:
            out2 = out2 * fade[:, None]
        out1, out2 = added(out1, out2, weights.to(v1.dtype), v1, v2, REST)
        top = higher
    share = 1.0 / tl.where(total == 0.0, 1.0, total)
    out1 = out1 * share[:, None]
    if REST:
        out2 = out2 * share[:, None]
    return out1, out2, tl.where(total == 0.0, float("-inf"), top + tl.log2(tl.where(total == 0.0, 1.0, total)))
