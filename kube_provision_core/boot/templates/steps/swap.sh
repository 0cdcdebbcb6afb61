file={{ file | shell }}
size=$(({{ size_gib }} * 1024 ** 3))
if [ "$(stat --format=%s "$file" 2>/dev/null)" != "$size" ]; then # a template made of a node may have one
  folder=$(dirname "$file")
  kind=$(findmnt --noheadings --first-only --output FSTYPE --target "$folder")
  case $kind in
    ext4 | xfs) ;; # what fallocate gives a file on these two, a kernel since 4.18 swaps to
    *)
      echo "swap: no file is made on $kind, only on ext4 and xfs: have the template bring swap, and say swap: true" >&2
      exit 1
      ;;
  esac
  truncate --no-create --size 0 "$file.new" # xfs gives back what is merely removed a while later
  rm --force "$file.new"
  free=$(df --block-size=1 --output=avail "$folder" | tail --lines=1)
  if [ "$free" -lt $((size + {{ room_gib }} * 1024 ** 3)) ]; then
    echo "swap: {{ size_gib }} GiB are wanted of $((free / 1024 ** 3)) GiB that are free on the boot disk, and the system needs {{ room_gib }} of them: see boot_disk_size" >&2
    exit 1
  fi
  install --mode 0600 /dev/null "$file.new"
  fallocate --length "$size" "$file.new"
  mkswap "$file.new" >/dev/null # which syncs it, and gives it SELinux' type for such files
  mv "$file.new" "$file"
fi
chmod 0600 "$file"
systemctl --quiet unmask swap.target # nothing swaps at later boots where a template has masked it
systemctl --quiet enable --now {{ unit | shell }}
