# A small image of supametas-sync.
#
#   docker build -t supametas-sync .
#   docker run -d --name supametas-sync --read-only --cap-drop ALL \
#       -v "$PWD/config.toml:/etc/supametas-sync/config.toml:ro" \
#       -v "$PWD/key:/run/secrets/main:ro" \
#       -v supametas-ledger:/var/lib/supametas-sync \
#       -v /srv/drop:/srv/drop \
#       supametas-sync
#
# In the configuration: key_file = "/run/secrets/main". The program runs as the
# user 10001: the key and the drop folder must be readable for it, and where
# files are moved or deleted the folder must be writable. Reload with
# `docker kill --signal HUP supametas-sync`.

FROM rust:1.95-slim-bookworm AS build
# SQLite and the TLS library are compiled from C.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock build.rs config.example.toml ./
COPY benches benches
COPY src src
# `try` brings its samples.
COPY tests/samples tests/samples
RUN cargo build --release --locked

FROM debian:bookworm-slim
# Without certificates there is no HTTPS. Their versions follow the image's.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin supametas-sync \
    && install -d -m 700 -o supametas-sync -g supametas-sync /var/lib/supametas-sync \
    && install -d /etc/supametas-sync /srv/drop
COPY --from=build /src/target/release/supametas-sync /usr/bin/
USER 10001
# The ledger, which must outlive the container, and the usual drop folder.
VOLUME ["/var/lib/supametas-sync", "/srv/drop"]
# Healthy: the ledger can be read, and a daemon works on it.
HEALTHCHECK --interval=60s --timeout=10s --start-period=30s \
    CMD ["sh", "-c", "supametas-sync status --json | grep -q '\"running\": true'"]
# Stop it with more time than `shutdown_grace`: `docker stop --time 90`.
STOPSIGNAL SIGTERM
ENTRYPOINT ["supametas-sync"]
CMD ["run"]
