"""A cluster in one encrypted file: its etcd, its folder, its configuration."""

from .archive import Archive
from .contents import EXTRA, About, End, fit
from .keeping import clear, file_name, keep
from .keys import Keys, Recipients
from .places import Place, filesystem, place, refuse_secrets_in
from .reader import Backup, Checked, check_backup, open_backup
from .sealed import reason
from .trial import Tried, try_backup
from .writer import SnapshotStream, write_backup

__all__ = [
    "EXTRA",
    "About",
    "Archive",
    "Backup",
    "Checked",
    "End",
    "Keys",
    "Place",
    "Recipients",
    "SnapshotStream",
    "Tried",
    "check_backup",
    "clear",
    "file_name",
    "filesystem",
    "fit",
    "keep",
    "open_backup",
    "place",
    "reason",
    "refuse_secrets_in",
    "try_backup",
    "write_backup",
]
