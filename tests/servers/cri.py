"""Kubernetes' interface to container runtimes: pull an image, as the kubelet and kubeadm have it pulled."""

from __future__ import annotations

from pathlib import Path

import grpc

LIMIT = 60.0
"""Seconds."""


def is_ready(socket: Path) -> bool:
    """Whether it serves images. For a while after its start it refuses every call but that for its version."""
    try:
        _call(socket, "ListImages", b"")
    except RuntimeError:
        return False
    return True


def pull(socket: Path, image: str) -> str:
    """The image's id. Raises `RuntimeError` with what the runtime says if it cannot be pulled."""
    return _call(socket, "PullImage", _field(_field(image.encode())))[2:].decode()


def _call(socket: Path, method: str, request: bytes) -> bytes:
    with grpc.insecure_channel(f"unix:{socket}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            answer: bytes = channel.unary_unary(f"/runtime.v1.ImageService/{method}", bytes, bytes)(request, LIMIT)
        except grpc.RpcError as error:
            raise RuntimeError(str(error.details())) from error
    return answer


def _field(content: bytes) -> bytes:
    """The first field of a message: both `PullImageRequest.image` and `ImageSpec.image` are that. Short ones alone."""
    assert len(content) < 128
    return bytes([0x0A, len(content)]) + content
