# The image from source, in two stages: Alpine's own target is static musl. From the repository's top:
#
#   docker build -t metricsd .
#   docker build -t metricsd --build-arg METRICSD_COMMIT="$(git rev-parse --short=12 HEAD)" .
#
# The second one knows its commit, which is all that differs: the clone's .git is not sent along.
#
# What the second stage is, and how to run it, is said in packaging/docker/Dockerfile.prebuilt, which
# makes the same image from a static binary that is there already.
FROM docker.io/library/rust:1-alpine AS build
RUN apk add --no-cache build-base ca-certificates
WORKDIR /src
COPY . .
# The clone's .git is not sent along.
ARG METRICSD_COMMIT
ARG SOURCE_DATE_EPOCH
RUN METRICSD_COMMIT="$METRICSD_COMMIT" SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" cargo build --release --locked \
 && install -D target/release/metricsd /image/metricsd \
 && install -D -m 644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt \
 && install -d -m 755 /image/etc/metricsd \
 && install -d -m 755 /image/var/lib && install -d -m 700 -o 65532 -g 65532 /image/var/lib/metricsd

FROM scratch
COPY --from=build /image/ /
USER 65532:65532
WORKDIR /etc/metricsd
VOLUME /var/lib/metricsd
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=6s --start-period=5s CMD ["/metricsd", "-health", "http://127.0.0.1:8080/health"]
ENTRYPOINT ["/metricsd"]
