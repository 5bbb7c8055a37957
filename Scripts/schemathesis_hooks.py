"""What schemathesis cannot know from the description: that a key is used once.

It tries the same simple key for many requests, and the second of them is rightly refused. Here each good key becomes one of its own; a bad
one, or none, stays as it is.
"""

import re
import uuid

import schemathesis

KEY = re.compile(r'^"[ !#-\[\]-~]{1,128}"$')


@schemathesis.hook
def before_call(context, case, kwargs):
    for name in list(case.headers or {}):
        if name.lower() == "idempotency-key" and KEY.match(str(case.headers[name])):
            case.headers[name] = f'"{uuid.uuid4()}"'
