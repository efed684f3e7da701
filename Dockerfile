FROM python:3.12-slim

# The CPU wheels; for CUDA, for instance: docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    LOSSVIZ_DATA_DIR=/data/cache \
    LOSSVIZ_HOME=/data/home

WORKDIR /app

# A build tag such as 2.13.0+cpu sorts above the plain 2.13.0, so pip takes torch from this index and the rest from its own.
COPY requirements.txt ./
RUN pip install --extra-index-url "$TORCH_INDEX" -r requirements.txt

COPY . .
RUN pip install --no-build-isolation --no-deps -e . \
    && useradd --create-home --uid 1000 lossviz \
    && install --directory --owner=lossviz --group=lossviz /data

USER 1000
VOLUME /data
EXPOSE 8501

HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=3)"]

CMD ["sh", "-c", "lossviz data || echo 'Starting without MNIST: exploring works, training waits for the data.'; exec streamlit run app.py --server.address=0.0.0.0 --server.port=8501"]
