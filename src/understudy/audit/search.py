"""The most similar references of every query, among all of them: blocks of matrix products pick candidates, sums of
integers decide (views.py).

The result of a query equals that of a plain search in float64. A candidate list is complete if its last entry lies
further below the k-th best than the error of the products. A query with an incomplete list (many almost identical
references) is searched again in float64.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from understudy.files.atomic import hash_of
from understudy.stack import Stack

from .forms import PLAIN, in_form, shape_in_form
from .views import TOLERANCE, View, correlations, exact, moments, turned, variants_of, vectors

NONE = -1  # place of a reference that is not there
_NOT = -2.0  # below every correlation: references that do not count
_MORE = 11  # candidates beyond those that are asked for
_BATCH = 256  # references that are decoded at once for rescoring
_MOST = 4096  # references of a block
_LEAST = 16  # images of a block, whatever the memory
_KEPT = 25_000  # images in a form: 0.5 GB of 5 channels at 64 x 64, 2 GB of the fine form
CROWD = 5  # which of the nearest groups stands for how near an image is to anybody
PER_QUERY = 6  # fields of `Found` that have a row for each query, the first ones


@dataclass(frozen=True)
class Images:
    """What is searched, or searched for. `group` says whose each image is; None: nobody's."""

    count: int
    read: Callable[[Sequence[int]], np.ndarray]  # indices -> uint8 (n, C, H, W)
    shape: tuple[int, int, int]  # (C, H, W)
    key: str  # of the content
    group: np.ndarray | None = None  # (count,)

    @classmethod
    def of(cls, stack: Stack, indices: Sequence[int] | None = None, threads: int = 4) -> "Images":
        """The images of a stack, or some of them, by person; a damaged one is named when it is read."""
        chosen = np.arange(len(stack)) if indices is None else np.asarray(indices)
        group, people = None, stack.people()
        if people is not None:
            number = {name: place for place, name in enumerate(dict.fromkeys(people))}
            group = np.array([number[people[i]] for i in chosen])

        def read(places: Sequence[int]) -> np.ndarray:
            return stack.read([int(chosen[place]) for place in places], threads, checked=True)

        key = stack.sha256 if indices is None else hash_of([stack.sha256, chosen.tolist()])
        return cls(len(chosen), read, stack.shape_CHW, key, group)

    @classmethod
    def in_memory(cls, x_NCHW: np.ndarray, key: str) -> "Images":
        """Nobody's."""
        return cls(len(x_NCHW), lambda places: x_NCHW[list(places)], x_NCHW.shape[1:], key)

    def form(self, name: str) -> "Images":
        """The same images in a form of forms.py; kept, once they were made, where they are few."""
        if name == PLAIN:
            return self
        shape = shape_in_form(name, self.shape)
        kept: dict[int, np.ndarray] = {}
        keep = self.count <= _KEPT

        def read(places: Sequence[int]) -> np.ndarray:
            places = [int(place) for place in places]
            missing = [place for place in dict.fromkeys(places) if place not in kept]
            made = dict(zip(missing, in_form(name, self.read(missing)), strict=True)) if missing else {}
            if keep:
                kept.update(made)
            return np.stack([made[place] if place in made else kept[place] for place in places])

        return Images(self.count, read, shape, hash_of([self.key, name]), self.group)

    @property
    def groups(self) -> int:
        return 0 if self.group is None else int(self.group.max()) + 1


@dataclass(frozen=True)
class Found:
    """Of N queries the k most similar references, best first, the first of equals; `NONE` and r -2 where there are not
    so many. `other`: the best of another group than that of the first. `crowd_r`: of the `CROWD`-th nearest group, or
    of the last where there are fewer, as products give it (TOLERANCE). By group of the references: the query that
    comes nearest to it."""

    index: np.ndarray  # (N, k)
    variant: np.ndarray  # (N, k): how the query was turned, place in `kinds`
    r: np.ndarray  # (N, k)
    other: np.ndarray  # (N,)
    other_r: np.ndarray  # (N,)
    crowd_r: np.ndarray  # (N,)
    group_r: np.ndarray  # (G,) to the rounding of float32
    group_query: np.ndarray  # (G,)

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray], where: str) -> "Found":
        """From a file. Raises ValueError where an array is missing, or of another shape or kind than the others."""
        names = [field.name for field in fields(cls)]
        if missing := [name for name in names if name not in arrays]:
            raise ValueError(f"{where}: found no {missing[0]}, expected what a search found. Search again.")
        found = cls(**{name: arrays[name] for name in names})
        n, k = found.index.shape if found.index.ndim == 2 else (-1, -1)
        groups = found.group_r.shape
        shapes = dict.fromkeys(("index", "variant", "r"), (n, k)) | dict.fromkeys(("other", "other_r", "crowd_r"), (n,))
        shapes |= {"group_r": groups, "group_query": groups}
        for name, shape in shapes.items():
            array = arrays[name]
            kind = "f" if name.endswith("r") and name != "other" else "i"
            if array.shape != shape or array.dtype.kind != kind or len(groups) != 1 or n < 1 or k < 1:
                raise ValueError(f"{where}: found {name} of {array.dtype} {array.shape}, expected what a search found")
            low, high = (_NOT, 1.001) if kind == "f" else (NONE, n - 1 if name == "group_query" else np.inf)
            if array.size and not (low <= array.min() and array.max() <= high):  # false of NaN as well
                said = f"{name} from {array.min()} to {array.max()}"
                raise ValueError(f"{where}: found {said}, expected what a search found")
        return found

    def rows(self, chosen_N: np.ndarray) -> "Found":
        """Of some queries; what is told by group stays that of all."""
        return replace(self, **{field.name: getattr(self, field.name)[chosen_N] for field in fields(self)[:PER_QUERY]})

    @classmethod
    def joined(cls, parts: Sequence["Found"]) -> "Found":
        """Of queries one after the other."""
        starts = np.cumsum([0] + [len(part.index) for part in parts[:-1]])
        r_PG = np.stack([part.group_r for part in parts])
        query_PG = np.stack([part.group_query + start for part, start in zip(parts, starts, strict=True)])
        best_G, groups = r_PG.argmax(0), np.arange(r_PG.shape[1])
        by_query = {f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)[:PER_QUERY]}
        return cls(**by_query, group_r=r_PG[best_G, groups], group_query=query_PG[best_G, groups])


def search(
    view: View,
    x_NCHW: np.ndarray,
    references: Images,
    *,
    k: int = 1,
    kinds: Sequence[tuple[int, bool]] = ((0, False),),
    own_N: np.ndarray | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    block: int = _MOST,
) -> Found:
    """Args:
    x_NCHW: uint8 queries, all in memory. kinds: how they are turned (views.VARIANTS). own_N: the group of each query,
        whose references do not count. dtype: of the products; default bfloat16 on a GPU, float32 on a CPU.
    block: references at once.
    """
    device = torch.device(device)
    dtype = dtype or (torch.bfloat16 if device.type == "cuda" else torch.float32)
    x_NCHW = torch.as_tensor(x_NCHW).to(device)
    own = None if own_N is None else torch.as_tensor(own_N, device=device)
    best = _Best(len(x_NCHW), k + _MORE, references, TOLERANCE[dtype], device)
    queries = vectors(view, variants_of(x_NCHW, kinds).flatten(0, 1), dtype, reference=False)
    for start, y_MCHW in _blocks(references, block, device):
        r_NM = correlations(view, queries, vectors(view, y_MCHW, dtype, reference=True))
        r_VNM = r_NM.unflatten(0, (len(kinds), -1))
        if own is not None:
            groups = best.group_M[start : start + len(y_MCHW)]
            r_VNM.masked_fill_((own[:, None] == groups)[None], _NOT)
        best.take(r_VNM, start)
    del queries
    found, complete_N = _rescored(view, x_NCHW, references, best, kinds, k, TOLERANCE[dtype])
    if dtype != torch.float64 and not complete_N.all():
        again = np.flatnonzero(~complete_N)
        rest = {"k": k, "kinds": kinds, "own_N": None if own_N is None else own_N[again], "device": device}
        sure = search(view, x_NCHW[again], references, **rest, dtype=torch.float64, block=min(block, 512))
        for field in fields(Found)[:PER_QUERY]:
            getattr(found, field.name)[again] = getattr(sure, field.name)
    return found


def sizes(view: View, shape_CHW: tuple[int, int, int], kinds: int, memory_bytes: float, item: int) -> tuple[int, int]:
    """(queries, references) that are searched at once, where `memory_bytes` is all that they, and the table of their
    correlations, may take; `item` bytes a number."""
    channels, pixels = len(view.places), view.plane(*shape_CHW[1:])
    planes = channels + (7 if item == 2 else 2) * view.masked  # of a masked view the digits and the inside
    converted, stored = pixels * planes * item, int(np.prod(shape_CHW))
    references = int(np.clip(memory_bytes / 4 / (converted + stored), _LEAST, _MOST))
    queries = memory_bytes / 2 / ((converted + stored) * kinds + stored)
    table = memory_bytes / 4 / (8 * references * kinds)
    return max(_LEAST, int(min(queries, table))), references


class _Best:
    """The best so far of every query, with correlations from products. `ways`: bit v is set where the query, turned in
    the v-th way, may be as near as in the best one."""

    def __init__(self, n: int, candidates: int, references: Images, tolerance: float, device: torch.device):
        self.tolerance = tolerance
        self.ways_Nc = torch.zeros((n, candidates), device=device, dtype=torch.int64)
        self.first_ways_N, self.second_ways_N = (torch.zeros(n, device=device, dtype=torch.int64) for _ in range(2))
        self.r_Nc = torch.full((n, candidates), _NOT, device=device, dtype=torch.float64)
        self.index_Nc = torch.full((n, candidates), NONE, device=device)
        self.group_M = None if references.group is None else torch.as_tensor(references.group, device=device)
        self.first_r_N, self.second_r_N = (torch.full((n,), _NOT, device=device) for _ in range(2))
        self.first_N, self.second_N = (torch.full((n,), NONE, device=device) for _ in range(2))  # places of references
        self.group_r_NG = torch.full((n, references.groups), _NOT, device=device)
        self.group_r_G = torch.full((references.groups,), _NOT, device=device)
        self.group_query_G = torch.full((references.groups,), NONE, device=device)

    def take(self, r_VNM: Tensor, start: int) -> None:
        """Correlations with the references from `start` on, of every way."""
        r_NM = r_VNM.amax(0)
        many = min(r_NM.shape[1], self.r_Nc.shape[1])
        if r_NM.dtype == torch.float64:  # equals, but for rounding, are equals here, and the first of them counts
            r_Nc, place_Nc = (a[:, :many] for a in r_NM.round(decimals=10).sort(dim=1, descending=True, stable=True))
        else:
            r_Nc, place_Nc = r_NM.topk(many)
        ways_Nc = torch.cat([self.ways_Nc, self._ways(r_VNM, place_Nc)], 1)
        r_Nc, index_Nc = torch.cat([self.r_Nc, r_Nc.double()], 1), torch.cat([self.index_Nc, place_Nc + start], 1)
        # stable: of equals the first, and those of earlier blocks stand first
        order_Nc = r_Nc.argsort(dim=1, descending=True, stable=True)[:, : self.r_Nc.shape[1]]
        self.r_Nc, self.index_Nc = r_Nc.gather(1, order_Nc), index_Nc.gather(1, order_Nc)
        self.ways_Nc = ways_Nc.gather(1, order_Nc)
        if self.group_M is None:
            return
        groups, counts = self.group_M[start : start + r_NM.shape[1]].unique_consecutive(return_counts=True)
        first = 0  # images of one person may stand apart: as several subjects, or in several blocks
        for group, count in zip(groups.tolist(), counts.tolist(), strict=True):
            r_N, place_N = r_NM[:, first : first + count].max(1)
            ways_N = self._ways(r_VNM, place_N[:, None] + first)[:, 0]
            self._take_group(group, r_N.to(self.first_r_N.dtype), place_N + first + start, ways_N)
            first += count

    def crowd_r_N(self) -> Tensor:
        """(N,): the last that is there of the `CROWD` nearest groups."""
        nearest_Nk = self.group_r_NG.topk(min(CROWD, self.group_r_NG.shape[1]), dim=1).values
        there_N = (nearest_Nk > _NOT).sum(1)
        nearest_N1 = torch.nn.functional.pad(nearest_Nk, (1, 0), value=_NOT)
        return nearest_N1.gather(1, there_N[:, None])[:, 0]

    def _ways(self, r_VNM: Tensor, place_Nc: Tensor) -> Tensor:
        r_VNc = r_VNM.gather(2, place_Nc.expand(len(r_VNM), -1, -1))
        near_VNc = r_VNc >= r_VNc.amax(0) - 2 * self.tolerance
        return (near_VNc << torch.arange(len(r_VNM), device=r_VNM.device)[:, None, None]).sum(0)

    def _take_group(self, group: int, r_N: Tensor, place_N: Tensor, ways_N: Tensor) -> None:
        own_r_N = self.group_r_NG[:, group]
        torch.maximum(own_r_N, r_N, out=own_r_N)
        best_r, query = r_N.max(0)
        better = best_r > self.group_r_G[group]
        self.group_r_G[group] = torch.where(better, best_r, self.group_r_G[group])
        self.group_query_G[group] = torch.where(better, query, self.group_query_G[group])
        own_N = (self.first_N != NONE) & (self.group_M[self.first_N] == group)
        first_N = r_N > self.first_r_N
        second_N = ~first_N & ~own_N & (r_N > self.second_r_N)
        moved_N = first_N & ~own_N
        self.second_r_N = torch.where(moved_N, self.first_r_N, torch.where(second_N, r_N, self.second_r_N))
        self.second_N = torch.where(moved_N, self.first_N, torch.where(second_N, place_N, self.second_N))
        self.second_ways_N = torch.where(moved_N, self.first_ways_N, torch.where(second_N, ways_N, self.second_ways_N))
        self.first_ways_N = torch.where(first_N, ways_N, self.first_ways_N)
        self.first_r_N = torch.where(first_N, r_N, self.first_r_N)
        self.first_N = torch.where(first_N, place_N, self.first_N)


def _blocks(references: Images, block: int, device: torch.device) -> Iterator[tuple[int, Tensor]]:
    """(start, uint8 images on the device); the next is decoded while one is searched."""
    starts = range(0, references.count, block)
    with ThreadPoolExecutor(1) as pool:

        def read(start: int):
            return pool.submit(references.read, range(start, min(start + block, references.count)))

        waiting = read(0)
        for start in starts:
            images = waiting.result()
            if start + block < references.count:
                waiting = read(start + block)
            yield start, torch.from_numpy(images).to(device)


def _rescored(
    view: View,
    x_NCHW: Tensor,
    references: Images,
    best: _Best,
    kinds: Sequence[tuple[int, bool]],
    k: int,
    tolerance,
) -> tuple[Found, np.ndarray]:
    """(exact values of the candidates that may be among the k best, which queries' candidates are complete)."""
    r_Nc, index_Nc = best.r_Nc.cpu().numpy(), best.index_Nc.cpu().numpy()
    n = len(r_Nc)
    needed_Nc = (r_Nc >= r_Nc[:, min(k, r_Nc.shape[1]) - 1, None] - 2 * tolerance) & (r_Nc > _NOT)
    index_Nc[r_Nc <= _NOT] = NONE
    place_2N = np.stack([best.first_N.cpu().numpy(), best.second_N.cpu().numpy()])
    place_2N[np.stack([best.first_r_N.cpu().numpy(), best.second_r_N.cpu().numpy()]) <= _NOT] = NONE
    query, place = np.nonzero(needed_Nc)
    two, whose = np.nonzero(place_2N != NONE)
    pairs = np.concatenate([np.stack([query, index_Nc[query, place]]), np.stack([whose, place_2N[two, whose]])], 1)

    def compare(x_nCHW: Tensor, y_CHW: Tensor, moments_n2: Tensor) -> Tensor:
        return exact(view, x_nCHW, y_CHW, moments_n2)

    ways_2N = np.stack([best.first_ways_N.cpu().numpy(), best.second_ways_N.cpu().numpy()])
    ways_P = np.concatenate([best.ways_Nc.cpu().numpy()[query, place], ways_2N[two, whose]])
    r_P, variant_P = pair_correlations(view, x_NCHW, references, pairs, kinds, compare, ways_P)
    exact_Nc, variant_Nc = np.full_like(r_Nc, _NOT), np.zeros_like(index_Nc)
    exact_Nc[query, place], variant_Nc[query, place] = r_P[: len(query)], variant_P[: len(query)]
    two_r_2N = np.full(place_2N.shape, _NOT)
    two_r_2N[two, whose] = r_P[len(query) :]
    order_Nk = np.lexsort((index_Nc, -exact_Nc), axis=1)[:, :k]
    index_Nk, r_Nk, variant_Nk = (np.take_along_axis(a, order_Nk, 1) for a in (index_Nc, exact_Nc, variant_Nc))
    index_Nk[r_Nk <= _NOT] = NONE
    everything = (r_Nc[:, -1] <= _NOT) | (r_Nc.shape[1] >= references.count)
    complete_N = everything | (r_Nk[:, -1] >= r_Nc[:, -1] + tolerance)
    other_N, other_r_N = np.full(n, NONE), np.full(n, _NOT)
    if references.group is not None:
        # where products could not tell two subjects apart, the other of the two is the one that is not first
        same_N = references.group[place_2N[0]] == references.group[index_Nk[:, 0]]
        other_N = np.where(same_N, place_2N[1], place_2N[0])
        other_r_N = np.where(same_N, two_r_2N[1], two_r_2N[0])
    crowd_r_N = best.crowd_r_N().cpu().numpy().astype(np.float64)
    groups = best.group_r_G.cpu().numpy().astype(np.float64), best.group_query_G.cpu().numpy()
    return Found(index_Nk, variant_Nk, r_Nk, other_N, other_r_N, crowd_r_N, *groups), complete_N


def pair_correlations(
    view: View,
    x_NCHW: Tensor,
    references: Images,
    pairs_2P: np.ndarray,
    kinds: Sequence[tuple[int, bool]],
    compare: Callable[[Tensor, Tensor, Tensor], Tensor],
    ways_P: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(r, variant) of (query, reference) pairs, each reference decoded once. compare: turned queries, a reference and
    the queries' moments -> r. ways_P: the bits of the kinds that are compared; None: all."""
    r_P, variant_P = np.full(pairs_2P.shape[1], -np.inf), np.zeros(pairs_2P.shape[1], np.int64)
    ways_P = np.full(len(r_P), 2 ** len(kinds) - 1) if ways_P is None else ways_P
    moments_N2 = moments(view, x_NCHW)
    order = pairs_2P[1].argsort(kind="stable")
    needed, firsts = np.unique(pairs_2P[1][order], return_index=True)
    rows = np.split(order, firsts[1:])
    for start in range(0, len(needed), _BATCH):
        images = torch.from_numpy(references.read(needed[start : start + _BATCH].tolist())).to(x_NCHW.device)
        for y_CHW, pair in zip(images, rows[start : start + _BATCH], strict=True):
            for variant, kind in enumerate(kinds):
                own = pair[(ways_P[pair] >> variant) & 1 == 1]
                if not len(own):
                    continue
                chosen = torch.as_tensor(pairs_2P[0][own], device=x_NCHW.device)
                r_n = compare(turned(x_NCHW[chosen], kind), y_CHW, moments_N2[chosen]).cpu().numpy()
                better = r_n > r_P[own]
                r_P[own[better]], variant_P[own[better]] = r_n[better], variant
    return r_P, variant_P
