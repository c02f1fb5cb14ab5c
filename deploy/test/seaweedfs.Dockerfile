# SeaweedFS from PyPI behind the interface of the image `dxflrs/garage`, as far as deploy/compose.yaml uses it.
ARG BASE=debian:trixie-slim
FROM ${BASE}
COPY bin/weed /usr/local/bin/
COPY seaweedfs-start /garage
