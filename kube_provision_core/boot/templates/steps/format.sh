# blkid exits with 2 if it finds nothing at all: neither a file system nor a partition table.
found=0
present=$(blkid --probe --output value --match-tag TYPE "$device") || found=$?
case "$found:$present" in
  2:*) "mkfs.$kind" -q "$device" ;;
  0:"$kind") ;;
  *)
    echo "$device is not blank and holds ${present:-something} instead of $kind: it is left as it is" >&2
    exit 1
    ;;
esac
