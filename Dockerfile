# Stagedoor in a container: `docker build -t stagedoor .`, then see deploy/README.md.
FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/stagedoor
COPY requirements/server.txt requirements/build.txt requirements/
RUN /opt/stagedoor/bin/pip install --no-cache-dir --require-hashes -r requirements/server.txt
# What builds the wheel stays behind.
RUN python -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY tracking tracking
COPY registry registry
COPY gateway gateway
COPY stagedoor stagedoor
RUN /opt/build/bin/hatchling build -t wheel -d /opt/build/wheel \
 && /opt/stagedoor/bin/pip install --no-cache-dir --no-deps /opt/build/wheel/*.whl

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin stagedoor \
 && install --directory --owner=stagedoor --group=stagedoor --mode=0700 /data
COPY --from=build /opt/stagedoor /opt/stagedoor
USER stagedoor
WORKDIR /data
VOLUME /data
ENV PATH=/opt/stagedoor/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    STAGEDOOR_SERVER__HOST=0.0.0.0 \
    STAGEDOOR_SERVER__PORT=5000 \
    STAGEDOOR_AUTH__ENABLED=true \
    STAGEDOOR_STORAGE__BACKEND_STORE_URI=sqlite:////data/stagedoor.db \
    STAGEDOOR_STORAGE__ARTIFACTS_DESTINATION=/data/artifacts \
    STAGEDOOR_STORAGE__CACHE_DIR=/data/cache
EXPOSE 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:5000/health/live', timeout=2)"]
ENTRYPOINT ["stagedoor"]
CMD ["server"]
