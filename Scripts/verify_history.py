#!/usr/bin/env python3
"""Checks hash chains without Perdure, in a Perdure SQLite file or in a file of exported histories: verify_history.py FILE [RUN-ID ...]"""
import hashlib, json, sqlite3, struct, sys

def prefixed(data): return struct.pack(">I", len(data)) + data
def null(): return b"\x00" + prefixed(b"")
def integer(value): return b"\x01" + prefixed(struct.pack(">q", value))
def text(value): return null() if value is None else b"\x02" + prefixed(value)
def value(stored, size):
    if stored is None: return null()
    if size is None: return b"\x03" + prefixed(stored)
    return b"\x04" + prefixed(struct.pack(">q", size) + stored)

# Events are rows of: seq, at, kind, subject, attributes, input, input_size, output, output_size, codec, key_id, hash.
# `is_lost` says whether the large value with this digest and size is missing or another one.
def problem(run, namespace, last_seq, last_hash, events, is_lost):
    head, last = last_hash or hashlib.sha256(prefixed(namespace) + prefixed(run)).digest(), None
    for expected, (seq, at, kind, subject, attributes, i, i_size, o, o_size, codec, key, stored) in enumerate(events, (last_seq or 0) + 1):
        if seq != expected: return f"event {expected}: event {seq} stands in its place"
        if last is not None and at < last: return f"event {seq}: its time is before the previous event's"
        fields = [text(run), integer(seq), integer(at), text(kind), text(subject), text(attributes), value(i, i_size),
                  value(o, o_size), integer(codec), text(key)]
        head, last = hashlib.sha256(b"\x01" + head + b"".join(fields)).digest(), at
        if i_size is not None and is_lost(i, i_size): return f"event {seq}: its input is not what was recorded"
        if o_size is not None and is_lost(o, o_size): return f"event {seq}: its output is not what was recorded"
        if head != stored: return f"event {seq}: its hash does not fit its fields and the event before"
        if last_hash is not None and (kind != b"run.expired" or seq != last_seq + 1): return f"event {seq}: an expired run has it"
    return None if last is not None else "it has no events"

def of_store(path):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    db.text_factory = bytes  # what was hashed are bytes
    columns = "seq, at, kind, subject, attributes, input, input_size, output, output_size, codec, key_id, hash"
    for number, run, namespace, last_seq, last_hash in db.execute(
            "SELECT number, id, namespace, last_seq, last_hash FROM runs ORDER BY number").fetchall():
        def is_lost(digest, size):
            row = db.execute("SELECT content FROM blobs WHERE run = ? AND digest = ?", (number, digest)).fetchone()
            return row is None or len(row[0]) != size or hashlib.sha256(row[0]).digest() != digest
        events = db.execute(f"SELECT {columns} FROM events WHERE run = ? AND seq > ? ORDER BY seq", (number, last_seq or 0))
        if chosen(run.decode()): yield run.decode(), problem(run, namespace, last_seq, last_hash, events, is_lost), last_seq

def of_export(lines):
    def fields(line, kind):
        found = json.loads(line or "{}")
        if found.get("line") != kind: raise ValueError(f"a line '{kind}' is missing" if line else "the file was cut off")
        return found
    def stored(value):
        if value is None: return None, None
        if "digest" in value: return bytes.fromhex(value["digest"]), value["size"]
        content = value["text"].encode() if "text" in value else bytes.fromhex(value["hex"])
        return (content, None) if len(content) <= 65536 else (hashlib.sha256(content).digest(), len(content))
    def events():
        nonlocal line, count, last
        while (line := next(lines, "")) and (event := json.loads(line)).get("line") == "event":
            count, last = count + 1, event["hash"]
            texts = [event[name].encode() for name in ("kind", "subject", "attributes")]
            key = event.get("key_id")
            yield (event["seq"], event["at"], *texts, *stored(event.get("input")), *stored(event.get("output")), event["codec"],
                   None if key is None else key.encode(), bytes.fromhex(event["hash"]))
    file = fields(next(lines, ""), "file")
    if (file["format"], file["version"]) != ("perdure-history", 1): raise ValueError("the format is another one")
    runs, line = 0, next(lines, "")
    while line and json.loads(line).get("line") == "run":
        run, count, last = json.loads(line), 0, None
        expired, rest = run.get("expired"), events()
        last_seq, last_hash = (expired["last_seq"], bytes.fromhex(expired["last_hash"])) if expired else (None, None)
        reason = problem(run["run"].encode(), run["namespace"].encode(), last_seq, last_hash, rest, lambda digest, size: False)
        for _ in rest: pass
        end = fields(line, "run_end")
        if not reason and (end["events"], end["hash"]) != (count, last): reason = "events are missing at its end"
        if chosen(run["run"]): yield run["run"], end.get("broken") or reason, last_seq
        runs, line = runs + 1, next(lines, "")
    if fields(line, "file_end")["runs"] != runs: raise ValueError("runs are missing")

def chosen(run): return run in sys.argv[2:] or not sys.argv[2:]

with open(sys.argv[1], "rb") as file: is_store = file.read(16) == b"SQLite format 3\0"
found, failure, seen = [], None, []
try:
    with open(sys.argv[1], encoding="utf-8", newline="\n") as file:
        for run, reason, last in of_store(sys.argv[1]) if is_store else of_export(file):
            found.append(reason)
            seen.append(run)
            print(f"run {run}: {reason or ('ok' if last is None else f'ok, expired after event {last}')}")
except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error: failure = f"the file does not hold together: {error}"
missing = [wanted for wanted in sys.argv[2:] if wanted not in seen]
for run in missing: print(f"run {run}: not in this file")
if failure: print(failure)
sys.exit(1 if failure or missing or not found or any(found) else 0)
