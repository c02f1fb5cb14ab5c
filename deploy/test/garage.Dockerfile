# The Garage of scripts/with-garage in place of the image `dxflrs/garage`.
ARG BASE=debian:trixie-slim
FROM ${BASE}
COPY bin/garage /garage
