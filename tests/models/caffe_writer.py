"""Writes what Caffe writes: NetParameter in the protocol-buffer wire format, in its V1 and V2 forms."""

import struct

import numpy as np


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def integer(field, number):
    return varint(field << 3) + varint(number)


def block(field, content):
    return varint(field << 3 | 2) + varint(len(content)) + content


def blob(array, old):
    data = block(5, np.asarray(array, "<f4").tobytes()) + block(
        6, struct.pack("<f", 0.5)
    )  # 6: diff, not needed
    if old:
        shape = (1,) * (4 - array.ndim) + array.shape
        return b"".join(integer(index + 1, size) for index, size in enumerate(shape)) + data
    return data + block(7, block(1, b"".join(varint(size) for size in array.shape)))


def caffemodel(layers, old):
    """`layers`: (name, type, arrays); type is 'Convolution' or 'InnerProduct'. `old` writes V1."""
    out = block(1, b"GoogleNet")
    for name, kind, arrays in layers:
        blobs = [blob(array, old) for array in arrays]
        if old:
            kind_number = {"Convolution": 4, "InnerProduct": 14, "ReLU": 18}[kind]
            parts = [block(2, b"bottom"), block(3, b"top"), block(4, name.encode()), integer(5, kind_number)]
            parts += [block(6, content) for content in blobs] + [varint(7 << 3 | 5) + struct.pack("<f", 1)]
            out += block(2, b"".join(parts))
        else:
            parts = [block(1, name.encode()), block(2, kind.encode()), block(3, b"bottom")]
            parts += [block(7, content) for content in blobs] + [integer(10, 1)]
            out += block(100, b"".join(parts))
    return out
