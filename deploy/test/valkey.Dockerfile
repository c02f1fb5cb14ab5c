# Debian's Valkey in place of the image `valkey/valkey`.
ARG BASE=debian:trixie-slim
FROM ${BASE}
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends valkey-server valkey-tools \
    && rm -rf /var/lib/apt/lists/*
