"""Bytes as bad disks, transfers and editors leave them."""

from __future__ import annotations

import random


def damaged(data: bytes, chance: random.Random, noise: bytes) -> bytes:
    """The data cut off, overwritten, added to, with a piece missing or its end replaced: by chance, at any place."""
    at = chance.randrange(len(data))
    return chance.choice(
        [
            data[:at],
            data[:at] + noise + data[at + len(noise) :],
            data[:at] + noise + data[at:],
            data[:at] + data[at + chance.randrange(1, 200) :],
            data[:at] + data[chance.randrange(len(data)) :],
        ]
    )
