"""A second reader of the scene socket's binary frames, written from their description alone."""

import json
import math
import struct
from typing import Any

import numpy as np
import pytest


def decode(message: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the header and the arrays by name; fails on what JavaScript could not read."""
    (length,) = struct.unpack_from("<I", message)
    start = 4 + length
    assert start % 8 == 0, "the arrays do not begin at a multiple of 8 bytes"
    header = json.loads(message[4:start], parse_constant=pytest.fail)
    arrays = {}
    for name, shape in header["arrays"]:
        arrays[name] = np.frombuffer(message, "<f4", math.prod(shape), start).reshape(shape)
        start += 4 * math.prod(shape)
    assert start == len(message), "bytes are left over"
    return header, arrays
