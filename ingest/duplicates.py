"""Rows that were seen before: the same again, or another under the same id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Verdict:
    """For each row exactly one is true: it is new, it repeats a row, or it contradicts one."""

    fresh: Mask
    duplicate: Mask
    conflict: Mask


def judge(ids: U64, contents: U64, find: Callable[[U64], tuple[Mask, U64]]) -> Verdict:
    """Compare rows with those already known (`find`: sorted ids to known, content) and with each other.

    Of several rows with one id the first counts; a later one is a duplicate if its content is the same.
    """
    order = np.argsort(ids)
    ranked = ids[order]
    if (ranked[1:] != ranked[:-1]).all():
        # Nearly always: then nobody need look for the first of several.
        distinct, first, back = ranked, order, np.empty_like(order)
        back[order] = np.arange(len(ids))
    else:
        distinct, first, back = np.unique(ids, return_index=True, return_inverse=True)
    known, theirs = find(distinct)
    reference = np.where(known, theirs, contents[first])
    fresh = np.zeros(len(ids), dtype=np.bool_)
    fresh[first[~known]] = True
    same = contents == reference[back]
    return Verdict(fresh, ~fresh & same, ~fresh & ~same)
