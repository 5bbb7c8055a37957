"""Writes values in RFC 8785 form with the independent implementation of the PyPI package rfc8785.

Reads one JSON document from the file named first: a list of tagged values, in which every number is given by its bits and
every string by its bytes, so that no JSON reader or writer of either side can hide a difference. Writes one line of
hexadecimal bytes for each value to the file named second.
"""

import json
import struct
import sys

import rfc8785


def build(tagged):
    tag, content = tagged
    if tag == "null":
        return None
    if tag == "bool":
        return content
    if tag == "integer":
        return int(content)
    if tag == "double":
        return struct.unpack(">d", bytes.fromhex(content))[0]
    if tag == "string":
        return bytes.fromhex(content).decode("utf-8")
    if tag == "array":
        return [build(element) for element in content]
    if tag == "object":
        return {bytes.fromhex(key).decode("utf-8"): build(value) for key, value in content}
    raise ValueError(tag)


with open(sys.argv[1], encoding="ascii") as source, open(sys.argv[2], "w", encoding="ascii") as target:
    for value in json.load(source):
        target.write(rfc8785.dumps(build(value)).hex() + "\n")
