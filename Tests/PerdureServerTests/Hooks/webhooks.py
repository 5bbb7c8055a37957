"""Standard Webhooks by the implementation of its authors: reads one JSON object, and prints one.

{"do": "verify", "secret": "whsec_…", "headers": {…}, "body": "…"} → {"good": true}
{"do": "sign", "secret": "whsec_…", "id": "…", "time": 1700000000, "body": "…"} → {"signature": "v1,…"}
"""

import datetime
import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

wish = json.load(sys.stdin)
webhook = Webhook(wish["secret"])
if wish["do"] == "sign":
    time = datetime.datetime.fromtimestamp(wish["time"], datetime.timezone.utc)
    print(json.dumps({"signature": webhook.sign(wish["id"], time, wish["body"])}))
else:
    try:
        webhook.verify(wish["body"], wish["headers"])
        print(json.dumps({"good": True}))
    except WebhookVerificationError:
        print(json.dumps({"good": False}))
