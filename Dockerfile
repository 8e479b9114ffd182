# cubegate as one static binary on nothing: no shell, no packages, no root.
#
#   docker build -t cubegate .
#   docker run --stop-timeout 20 -p 3000:3000 -p 3001:3001 -v cubegate:/data cubegate
#
# Port 3001 is the sandbox's; with APP_ID and AUTH_KEY there is none.
#
# .ci/image runs what this file says without a Docker engine, so keep the two
# in step.

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/cubegate .
# A volume takes its owner from the folder in the image.
RUN mkdir -m 0700 /out/data

FROM scratch
# For https to ConnectyCube and TLS to MongoDB.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/cubegate /cubegate
COPY --from=build /src/LICENSE /src/server/licenses.txt /licenses/
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
# Settings belong to the container that runs: -e, or NAME_FILE for secrets.
# Within a container, only the ports that -p publishes can be reached, so both listeners
# are open to them.
ENV DATA_DIR=/data HOST=0.0.0.0 SANDBOX_HOST=0.0.0.0
VOLUME /data
EXPOSE 3000 3001
HEALTHCHECK --interval=30s --timeout=5s --start-period=40s CMD ["/cubegate", "health"]
ENTRYPOINT ["/cubegate"]
