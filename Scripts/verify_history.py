#!/usr/bin/env python3
"""Checks the hash chains in a Perdure SQLite file without Perdure: verify_history.py FILE [RUN-ID ...]"""
import hashlib, sqlite3, struct, sys

def prefixed(data): return struct.pack(">I", len(data)) + data
def null(): return b"\x00" + prefixed(b"")
def integer(value): return b"\x01" + prefixed(struct.pack(">q", value))
def text(value): return null() if value is None else b"\x02" + prefixed(value)
def value(stored, size):
    if stored is None: return null()
    if size is None: return b"\x03" + prefixed(stored)
    return b"\x04" + prefixed(struct.pack(">q", size) + stored)

def lost(number, digest, size):
    if size is None: return False
    row = db.execute("SELECT content FROM blobs WHERE run = ? AND digest = ?", (number, digest)).fetchone()
    return row is None or len(row[0]) != size or hashlib.sha256(row[0]).digest() != digest

def problem(number, run, namespace, last_seq, last_hash):
    head, last = last_hash or hashlib.sha256(prefixed(namespace) + prefixed(run)).digest(), None
    columns = "seq, at, kind, subject, attributes, input, input_size, output, output_size, codec, key_id, hash"
    events = db.execute(f"SELECT {columns} FROM events WHERE run = ? AND seq > ? ORDER BY seq", (number, last_seq or 0))
    for expected, (seq, at, kind, subject, attributes, i, i_size, o, o_size, codec, key, stored) in enumerate(events, (last_seq or 0) + 1):
        if seq != expected: return f"event {expected}: event {seq} stands in its place"
        if last is not None and at < last: return f"event {seq}: its time is before the previous event's"
        fields = [text(run), integer(seq), integer(at), text(kind), text(subject), text(attributes), value(i, i_size),
                  value(o, o_size), integer(codec), text(key)]
        head, last = hashlib.sha256(b"\x01" + head + b"".join(fields)).digest(), at
        if lost(number, i, i_size): return f"event {seq}: its input is not what was recorded"
        if lost(number, o, o_size): return f"event {seq}: its output is not what was recorded"
        if head != stored: return f"event {seq}: its hash does not fit its fields and the event before"
        if last_hash is not None and (kind != b"run.expired" or seq != last_seq + 1): return f"event {seq}: an expired run has it"
    return None if last is not None else "it has no events"

db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
db.text_factory = bytes  # what was hashed are bytes
runs = db.execute("SELECT number, id, namespace, last_seq, last_hash FROM runs ORDER BY number").fetchall()
runs = [run for run in runs if run[1].decode() in sys.argv[2:] or not sys.argv[2:]]
missing = [wanted for wanted in sys.argv[2:] if wanted.encode() not in [run[1] for run in runs]]
found = [(run[1].decode(), problem(*run), run[3]) for run in runs]
for run, reason, last in found: print(f"run {run}: {reason or ('ok' if last is None else f'ok, expired after event {last}')}")
for run in missing: print(f"run {run}: not in this file")
sys.exit(1 if missing or not found or any(reason for _, reason, _ in found) else 0)
