# One image for training, validation, live trading and the emulator: docker compose up -d --build
ARG PYTHON_IMAGE=python:3.11-slim
FROM ${PYTHON_IMAGE}
# Another package index, such as one with torch for processors alone: --build-arg PIP_EXTRA_INDEX_URL=...
ARG PIP_EXTRA_INDEX_URL=
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 VIRTUAL_ENV=/opt/venv PATH=/opt/venv/bin:$PATH \
    STATE_DIRECTORY=/var/lib/micro-trader CACHE_DIRECTORY=/var/lib/micro-trader/cache HOME=/var/lib/micro-trader
RUN python -m venv /opt/venv \
    && groupadd --system --gid 10001 trader \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/micro-trader trader \
    && install --directory --owner trader --group trader --mode 0750 /var/lib/micro-trader
WORKDIR /app
COPY requirements.txt constraints.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    PIP_EXTRA_INDEX_URL=${PIP_EXTRA_INDEX_URL} pip install --requirement requirements.txt --constraint constraints.txt setuptools
# The source is only copied, so that a change of it is built in seconds.
RUN echo /app > "$(python -c 'import site; print(site.getsitepackages()[0])')/micro-trader.pth" \
    && printf '#!/opt/venv/bin/python\nimport sys\nfrom daemon.cli import main\nsys.exit(main())\n' > /opt/venv/bin/micro-trader \
    && chmod 755 /opt/venv/bin/micro-trader
COPY LICENSE ./
COPY broker broker
COPY strategy strategy
COPY training training
COPY daemon daemon
WORKDIR /var/lib/micro-trader
USER 10001:10001
EXPOSE 8787
VOLUME ["/var/lib/micro-trader"]
ENTRYPOINT ["micro-trader"]
CMD ["run", "--mode", "paper"]
