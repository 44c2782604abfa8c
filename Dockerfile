# One image for all parts of the platform: sidecar, bridge, agent worker, command line.
#
#   docker build -t voicefleet .
#
# Which package index is asked is the builder's affair (--build-arg UV_DEFAULT_INDEX=…,
# NPM_CONFIG_REGISTRY=…); what is installed is not: the lock's versions, checked by the lock's hashes.

FROM python:3.12.12-slim-bookworm AS packages
ARG UV_DEFAULT_INDEX
ARG PIP_INDEX_URL
WORKDIR /src
# Only what decides what is installed: a change of code leaves this layer as it is.
COPY pyproject.toml uv.lock ./
COPY scripts scripts
RUN python -m scripts.image /opt/voicefleet

FROM python:3.12.12-slim-bookworm AS web
ARG UV_DEFAULT_INDEX
ARG PIP_INDEX_URL
ARG NPM_CONFIG_REGISTRY
WORKDIR /src
COPY pyproject.toml uv.lock ./
COPY scripts scripts
COPY web web
RUN python -m scripts.web build

FROM python:3.12.12-slim-bookworm
ENV PATH=/opt/voicefleet/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Volumes begin as the folders they are mounted on: owned by the user that writes there.
RUN groupadd --gid 10001 voicefleet \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp voicefleet \
    && install --directory --owner=10001 --group=10001 --mode=0700 \
        /var/lib/voicefleet /var/lib/voicefleet/sidecar /var/lib/voicefleet/bridge \
        /var/lib/voicefleet/agent /var/lib/voicefleet/sip
COPY --from=packages /opt/voicefleet /opt/voicefleet
WORKDIR /app
COPY contracts contracts
COPY sidecar sidecar
COPY bridges bridges
COPY agent agent
COPY voicefleet voicefleet
COPY --from=web /src/web/dist web/dist
COPY deploy/healthy.py deploy/healthy.py
RUN python -m compileall -q contracts sidecar bridges agent voicefleet
USER 10001:10001
CMD ["python", "-m", "sidecar"]
