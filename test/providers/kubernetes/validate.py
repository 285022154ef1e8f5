"""Reads a list of manifests as JSON, prints the list of what the schemas of these versions of Kubernetes say against them."""
import json
import sys

import kubernetes_validate

errors = []
for manifest in json.load(sys.stdin):
    name = f"{manifest['kind']} {manifest['metadata']['name']}"
    for version in sys.argv[1:]:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
            errors.append(f"{name}, Kubernetes {version}: {error.message}")
json.dump(errors, sys.stdout)
