"""Writes ``vectors.json``: 1,000 keys with their hash, by hashlib alone and none of our code.

Run it as ``python tests/gateway/routing/generate_vectors.py``. Each vector holds the salt as text,
the key and its 64-bit hash as hexadecimal, and the smallest weight that includes it.
"""

import hashlib
import json
import random
from pathlib import Path

PATH = Path(__file__).with_name("vectors.json")
COUNT = 1000
SALTS = (
    "model:0190f3a1",
    "model:0190f3a1/expose",
    "model:0190f3a1/variant",
    "abtest:42:1/expose",
    "modèle:日本/expose",
)


def keys() -> list[bytes]:
    """Return keys as callers have them, and some as only a fuzzer has them."""
    dice = random.Random(20)
    kept = [b"\x00", b"\x1f", b" ", b"A", b"a", "é".encode(), b"\xff\xfe", b"k" * 512]
    kept += [str(number).encode() for number in range(250)]
    kept += [f"user-{number}@example.org".encode() for number in range(250)]
    kept += [f"{dice.getrandbits(128):032x}".encode() for _ in range(250)]
    while len(kept) < COUNT:
        kept.append(dice.randbytes(dice.randint(1, 40)))
    return kept


def vector(salt: str, key: bytes) -> dict[str, str | int]:
    """Return one line of the file."""
    digest = hashlib.sha256(salt.encode("utf-8") + b"\x1f" + key).digest()
    hashed = int.from_bytes(digest[:8], byteorder="big", signed=False)
    first_bp = next(bp for bp in range(1, 10_001) if hashed < bp * 2**64 // 10_000)
    return {"salt": salt, "key": key.hex(), "hash": f"{hashed:016x}", "first_bp": first_bp}


def vectors() -> list[dict[str, str | int]]:
    """Return all lines."""
    return [vector(SALTS[index % len(SALTS)], key) for index, key in enumerate(keys())]


def text() -> str:
    """Return the file."""
    return "[\n" + ",\n".join(json.dumps(line) for line in vectors()) + "\n]\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
