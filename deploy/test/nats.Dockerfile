# NATS from PyPI in place of the image `nats`.
ARG BASE=debian:trixie-slim
FROM ${BASE}
# For the health check.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends wget \
    && rm -rf /var/lib/apt/lists/*
COPY bin/nats-server /usr/local/bin/
