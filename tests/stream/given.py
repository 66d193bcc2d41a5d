"""A stream of lists to emit into, and what an operator makes of them."""

from __future__ import annotations

from streamz import Stream

import streamnb as sn


def given(*batches, of, batch=None):
    """Return what ``of`` makes of a stream gives out for every batch, emitted one after the other."""
    source = Stream()
    out = of(sn.batches(source, batch)).sink_to_list()
    for each in batches:
        source.emit(each)
    return out


def given_two(*pairs, of):
    """Return what ``of`` makes of two streams; a pair is the two batches of one interval."""
    left, right = Stream(), Stream()
    out = of(sn.batches(left), sn.batches(right)).sink_to_list()
    for a, b in pairs:
        left.emit(a)
        right.emit(b)
    return out
