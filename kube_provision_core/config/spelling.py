"""Which known key was meant by one that is not: a slip of the fingers, or another tool's name for the same thing.

Keys that are only alike in letters are other concepts (`gpu` is no `cpu`, `node_labels` no `worker_label`): a wrong hint
costs more than none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_LETTERS_PER_SLIP = 6
"""In a shorter word, a letter that is replaced counts twice: one letter makes another word of it (`site` is no `size`)."""
_SURE = 8
"""Letters of keys that may be compared without regard to their words."""

_COMPLETE = frozenset({"labels", "containerd", "router"})
"""Words that are right as they are, though a letter makes one of ours: a label is a part of names here, containerd a
program, and a router a machine."""


@cache
def _elsewhere() -> Mapping[str, Sequence[str]]:
    """What other tools of the field call the same thing, by our name for it."""
    names: Mapping[str, Sequence[str]] = json.loads(Path(__file__).with_name("elsewhere.json").read_bytes())
    return names


def meant(written: str, known: Iterable[str]) -> str:
    """The known name that `written` was meant to be; empty where nothing says so, and where two are equally near."""
    names = sorted(set(known))
    same = [name for name in names if any(_joined(written) == _joined(other) for other in _elsewhere().get(name, ()))]
    if same:
        return same[0]
    near = sorted((slips, name) for name in names if (slips := _slips(written, name)) is not None)
    unclear = len(near) > 1 and near[0][0] == near[1][0]
    return "" if unclear or not near else near[0][1]


def _words(name: str) -> list[str]:
    """`podSubnet`, `pod-subnet` and `pod_subnet` are the same words."""
    return [word.lower() for word in _WORD.findall(name)]


def _joined(name: str) -> str:
    return "".join(_words(name))


def _slips(written: str, name: str) -> int | None:
    """How many slips make the one of the other, word by word; None where it takes more than slips."""
    ours, theirs = _words(name), _words(written)
    if _joined(name) == _joined(written):
        return 0
    if len(ours) != len(theirs):
        if len(_joined(name)) < _SURE:
            return None
        ours, theirs = [_joined(name)], [_joined(written)]
    each = [_slips_of_word(*pair) for pair in zip(theirs, ours, strict=True)]
    return None if None in each else sum(filter(None, each))


def _slips_of_word(written: str, word: str) -> int | None:
    if written == word:
        return 0
    if written in _COMPLETE:
        return None
    if _singular(written) == _singular(word):
        return 1
    slips = _distance(written, word)
    return slips if _framed_alike(written, word) and slips <= max(1, len(word) // _LETTERS_PER_SLIP) else None


def _singular(word: str) -> str:
    return f"{word[:-3]}y" if word.endswith("ies") else word.removesuffix("s")


def _framed_alike(written: str, word: str) -> bool:
    """Fingers slip inside of words: what begins or ends otherwise is another one (`gpu`, `model`), unless only
    the last letter of a long word is another (`workerz`)."""
    begins = written[:1] == word[:1] or written[:2] == word[1::-1]
    ends = written[-1:] == word[-1:] or written[-2:] == word[:-3:-1] or written == word[:-1]
    return begins and (ends or (len(word) >= _LETTERS_PER_SLIP and written[:-1] == word[:-1]))


def _distance(written: str, word: str) -> int:
    """Letters added, left out, swapped with their neighbour, or replaced: the optimal string alignment distance."""
    replaced = 1 if len(word) >= _LETTERS_PER_SLIP else 2
    before: list[int] = []
    last = list(range(len(word) + 1))
    for i, letter in enumerate(written, 1):
        row = [i]
        for j, theirs in enumerate(word, 1):
            row.append(min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (replaced if letter != theirs else 0)))
            if i > 1 and j > 1 and letter == word[j - 2] and written[i - 2] == theirs:
                row[j] = min(row[j], before[j - 2] + 1)
        before, last = last, row
    return last[-1]
