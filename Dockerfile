# cubegate as one static binary in an empty image: no shell, no packages, no root.
#
#   docker build -t cubegate .
#   docker run --stop-timeout 20 -p 3000:3000 -p 3001:3001 -v cubegate:/data cubegate
#
# Port 3001 is the sandbox's; with APP_ID and AUTH_KEY it does not run. For metrics, add
# -e OPS_ADDR=0.0.0.0:9090 and a --network with Prometheus; do not publish that port.
#
# .ci/image executes these steps without a Docker engine; keep the two the same.

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/cubegate .
# A volume gets its owner and its rights from the folder in the image. COPY keeps the rights
# of a folder only if it copies the one around it.
RUN mkdir /out/volume && mkdir -m 0700 /out/volume/data

FROM scratch
# For https to ConnectyCube and TLS to MongoDB.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/cubegate /cubegate
COPY --from=build /src/LICENSE /src/server/licenses.txt /licenses/
COPY --from=build --chown=65532:65532 /out/volume/ /
USER 65532:65532
# Pass settings to the container: -e, or NAME_FILE for secrets.
# From outside, only the ports that -p publishes can be reached, so both listeners use all
# interfaces.
ENV DATA_DIR=/data HOST=0.0.0.0 SANDBOX_HOST=0.0.0.0
VOLUME /data
EXPOSE 3000 3001
HEALTHCHECK --interval=30s --timeout=5s --start-period=40s CMD ["/cubegate", "health"]
ENTRYPOINT ["/cubegate"]
