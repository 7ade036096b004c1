# CPU:   docker build -t rvos-fusion .
# CUDA:  docker build -t rvos-fusion --build-arg TORCH_INDEX=https://pypi.org/simple .
# docker run --rm -v "$PWD:/data" rvos-fusion run my.yaml
FROM python:3.12-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /opt/rvos-fusion
COPY constraints.txt ./
RUN pip install --no-cache-dir --constraint constraints.txt --index-url "$TORCH_INDEX" \
    --extra-index-url https://pypi.org/simple torch
COPY . .
RUN pip install --no-cache-dir --constraint constraints.txt ".[cluster]"

WORKDIR /data
ENTRYPOINT ["rvos"]
CMD ["--help"]
