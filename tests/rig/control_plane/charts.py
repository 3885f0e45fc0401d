"""A double of the charts' repositories, in which a chart is one Deployment.

Usage: `charts.py PKI-FOLDER`. It serves the hosts of REPOSITORIES through HTTPS on
127.0.0.1, to which the hosts file of the rig's network namespace directs them. Helm is
real: it downloads, renders and installs a chart, and waits for its pods. A chart or a
version that is not listed here does not exist.

`charts.py hosts` prints the names of the hosts.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import ssl
import sys
import tarfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# The charts of each repository, by the start of its address.
REPOSITORIES = {
    "ray-project.github.io/kuberay-helm": {"kuberay-operator": "1.6.1"},
    "kubernetes.github.io/autoscaler": {"cluster-autoscaler": "9.46.6"},
    "aws.github.io/eks-charts": {
        "aws-load-balancer-controller": "3.6.0",
        "aws-efa-k8s-device-plugin": "0.5.26",
    },
    "nvidia.github.io/k8s-device-plugin": {"nvidia-device-plugin": "0.18.2"},
    "nvidia.github.io/dcgm-exporter/helm-charts": {"dcgm-exporter": "4.8.1"},
}
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  selector: {matchLabels: {chart: {{ .Release.Name }}}}
  template:
    metadata:
      labels: {chart: {{ .Release.Name }}}
      # Other values start other pods, for which Helm waits.
      annotations: {values: {{ toJson .Values | quote }}}
    spec:
      containers: [{name: controller, image: controller}]
"""


def chart(name, version):
    """Return a chart as an archive, the same in every call."""
    about = {"apiVersion": "v2", "name": name, "version": version}
    files = {
        "Chart.yaml": json.dumps(about),
        "values.yaml": "{}",
        "templates/deployment.yaml": DEPLOYMENT,
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{name}/{path}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(packed.getvalue(), mtime=0)


def index(charts):
    """Return the index of a repository with these charts."""
    entries = {
        name: [
            {
                "apiVersion": "v2",
                "name": name,
                "version": version,
                "urls": [f"{name}-{version}.tgz"],
                "digest": hashlib.sha256(chart(name, version)).hexdigest(),
            }
        ]
        for name, version in charts.items()
    }
    return json.dumps({"apiVersion": "v1", "entries": entries}).encode()


def files():
    """Return the content of every file, by its address without the scheme."""
    found = {}
    for address, charts in REPOSITORIES.items():
        found[f"{address}/index.yaml"] = index(charts)
        for name, version in charts.items():
            found[f"{address}/{name}-{version}.tgz"] = chart(name, version)
    return found


def hosts():
    """Return the hosts of all repositories."""
    return sorted({address.partition("/")[0] for address in REPOSITORIES})


class Files(BaseHTTPRequestHandler):
    found = files()

    def do_GET(self):
        body = self.found.get(f"{self.headers['Host']}{self.path}")
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")


if __name__ == "__main__":
    if sys.argv[1] == "hosts":
        print(*hosts())
        sys.exit()
    server = ThreadingHTTPServer(("127.0.0.1", 443), Files)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{sys.argv[1]}/charts.crt", f"{sys.argv[1]}/charts.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()
