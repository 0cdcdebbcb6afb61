"""A cluster in one encrypted file: its etcd, its folder, its configuration."""

from .archive import Archive
from .contents import EXTRA, About, fit
from .keeping import clear, file_name, keep
from .keys import Keys, Recipients
from .places import Place, filesystem, place, refuse_secrets_in
from .sealed import reason
from .trial import try_backup

__all__ = [
    "EXTRA",
    "About",
    "Archive",
    "Keys",
    "Place",
    "Recipients",
    "clear",
    "file_name",
    "filesystem",
    "fit",
    "keep",
    "place",
    "reason",
    "refuse_secrets_in",
    "try_backup",
]
