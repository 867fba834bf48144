# paste-proxy alone; docker-compose.yml puts an engine behind it and Prometheus beside it.
#   docker build -t paste-proxy .
# A test takes these steps out of here and runs them in a plain folder: keep to what it reads.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md ./
COPY paste_proxy ./paste_proxy
COPY plugins ./plugins
COPY image ./image
RUN image/install.sh /src /opt/paste-proxy

FROM python:3.11-slim-bookworm
# A fixed number, so that who mounts a folder for the store knows whom to give it to.
RUN useradd --uid 10001 --no-log-init --create-home --home-dir /var/lib/paste-proxy --shell /usr/sbin/nologin paste-proxy
COPY --from=build /opt/paste-proxy /opt/paste-proxy
ENV PATH=/opt/paste-proxy/bin:/usr/local/bin:/usr/bin:/bin
USER 10001:10001
WORKDIR /var/lib/paste-proxy
VOLUME /var/lib/paste-proxy
EXPOSE 8700
STOPSIGNAL SIGTERM
# That it serves; /paste/ready would also say that its backend does, and no restart of the proxy helps there.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:8700/paste/health', timeout=4)"]
ENTRYPOINT ["paste-proxy"]
CMD ["serve", "--config", "/etc/paste-proxy/config.yaml"]
