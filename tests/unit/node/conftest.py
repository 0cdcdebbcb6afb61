"""The programs of a node import each other as they lie there: side by side."""

from __future__ import annotations

import sys
from pathlib import Path

NODE_PROGRAMS = Path(__file__).parents[3] / "kube_provision_core/boot/node"
if str(NODE_PROGRAMS) not in sys.path:
    sys.path.append(str(NODE_PROGRAMS))
