#!/usr/bin/env python3
"""Brings what documents repeat from code up to date, or says what is not.

  update_docs.py           says what is out of date; ends with 1 if anything is
  update_docs.py --write   changes the documents

Two things are repeated:
- Code. A block behind `<!-- example: FILE NAME -->` is what stands between `// begin NAME` and `// end NAME` in
  Examples/Documents/FILE.swift, a block behind `<!-- example: PATH -->` the whole file.
- Promises. A test with a line `// Promise: N` above itself is listed in docs/promises.md under promise N.
"""
import pathlib, re, sys, textwrap

root = pathlib.Path(__file__).resolve().parent.parent
pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
stale = []


def example(reference):
    words = reference.split()
    if len(words) == 1:
        return (root / words[0]).read_text()
    text = (root / "Examples/Documents" / f"{words[0]}.swift").read_text()
    match = re.search(rf"^ *// begin {words[1]}\n(.*?)^ *// end {words[1]}$", text, re.S | re.M)
    if not match:
        sys.exit(f"Examples/Documents/{words[0]}.swift has no part '{words[1]}'")
    return textwrap.dedent(match[1])


def with_examples(text):
    return re.sub(
        r"(<!-- example: ([^>]+?) -->\n+```swift\n).*?(```)", lambda m: m[1] + example(m[2]) + m[3], text, flags=re.S)


def tagged():
    found = {}
    for path in sorted((root / "Tests").rglob("*.swift")):
        lines = path.read_text().split("\n")
        for index, line in enumerate(lines):
            tag = re.match(r"\s*/+ Promises?: ([\d, ]+)$", line)
            if not tag:
                continue
            function = re.search(r"func (?:`([^`]+)`|(\w+))\s*\(", "\n".join(lines[index : index + 30]))
            if not function:
                sys.exit(f"{path}:{index + 1}: no function follows")
            entry = f"- `{path.relative_to(root)}` `{function[1] or function[2]}`"
            for number in re.findall(r"\d+", tag[1]):
                found.setdefault(int(number), []).append(entry)
    return found


def with_promises(text):
    parts = re.split(r"(?m)^(?=### \d+\.)", text)
    tests = tagged()
    for index, part in enumerate(parts):
        number = re.match(r"### (\d+)\.", part)
        missing = [entry for entry in tests.get(int(number[1]), []) if entry not in part] if number else []
        if missing:
            body, *rest = re.split(r"(?m)^(?=## )", part.rstrip("\n") + "\n")
            body = body.rstrip("\n") + ("\n" if "\n- `Tests/" in body else "\n\n") + "\n".join(missing) + "\n"
            parts[index] = body + "\n" + "".join(rest) + ("\n" if rest else "")
    return "".join(parts).rstrip("\n") + "\n"


for page in pages:
    old = page.read_text()
    new = with_examples(old)
    if page.name == "promises.md":
        new = with_promises(new)
    if new == old:
        continue
    stale.append(str(page.relative_to(root)))
    if "--write" in sys.argv:
        page.write_text(new)
for name in stale:
    print(f"{name} {'was brought' if '--write' in sys.argv else 'is not'} up to date")
if stale and "--write" not in sys.argv:
    sys.exit("Run: python3 Scripts/update_docs.py --write")
