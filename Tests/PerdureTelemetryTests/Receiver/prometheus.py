"""Reads a Prometheus text on its input and prints its samples, a line of JSON for each metric."""
import json, sys

from prometheus_client.parser import text_string_to_metric_families

for family in text_string_to_metric_families(sys.stdin.read()):
    samples = [[sample.name, sample.labels, str(float(sample.value))] for sample in family.samples]
    print(json.dumps({"name": family.name, "kind": family.type, "samples": samples}))
