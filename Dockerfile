# The gateway's image:
#   docker build -t sallyport --build-arg REVISION="$(git rev-parse HEAD)" .
# It has Node 24 and no shell. Its user is 65532, and it writes to no file of its own, so that its root may be read-only.

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY packages ./packages
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY deploy/release/bundle.ts ./deploy/release/
COPY src ./src
RUN npm run build

FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
COPY packages ./packages
RUN npm ci --omit=dev --ignore-scripts

# docker-compose.yml: the demo's authorization server, its upstream, and its story.
FROM gcr.io/distroless/nodejs24-debian12:nonroot AS demo
WORKDIR /app
COPY --from=build /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY demo ./demo
COPY deploy/demo ./deploy/demo
USER 65532:65532
ENTRYPOINT ["/nodejs/bin/node"]

FROM gcr.io/distroless/nodejs24-debian12:nonroot AS gateway
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Sallyport" \
      org.opencontainers.image.description="Bearer-auth gateway: checks access tokens, revokes them at once, tells upstreams who is calling" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
ENV NODE_ENV=production
WORKDIR /app
COPY package.json LICENSE ./
COPY config ./config
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# Where the configuration is mounted: commands find ./sallyport.yaml.
WORKDIR /etc/sallyport
USER 65532:65532
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["/nodejs/bin/node", "/app/dist/main.js", "healthcheck", "-c", "/etc/sallyport/sallyport.yaml"]
ENTRYPOINT ["/nodejs/bin/node", "/app/dist/main.js"]
CMD ["run", "-c", "/etc/sallyport/sallyport.yaml"]
