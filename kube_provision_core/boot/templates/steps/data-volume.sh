# The second disk is the one that neither carries the root file system nor is configured as a volume.
is_free() {
  local used
  for used in "${taken[@]}"; do
    if [ "$1" = "$used" ]; then
      return 1
    fi
  done
}

udevadm settle --timeout 60
device=$(blkid --label {{ label }} || true)
if [ -z "$device" ]; then
  root=$(findmnt --noheadings --nofsroot --first-only --output SOURCE /)
  mapfile -t taken < <(lsblk --noheadings --inverse --paths --list --output NAME,TYPE "$root" | awk '$2 == "disk" {print $1}')
  if [ "${#taken[@]}" -eq 0 ]; then
    echo "data_volume: it cannot be told which disk carries the root file system ($root)" >&2
    exit 1
  fi
  {% for it in taken %}
  taken+=("$(readlink --canonicalize {{ it | shell }})")
  {% endfor %}
  free=() fitting=()
  while read -r name bytes; do
    if is_free "$name"; then
      free+=("$name")
      if [ "$bytes" -eq $(({{ size_gib }} * 1024 ** 3)) ]; then
        fitting+=("$name")
      fi
    fi
  done < <(lsblk --noheadings --nodeps --bytes --paths --list --output NAME,SIZE,TYPE,RO |
    awk '$3 == "disk" && $4 == 0 && $1 !~ /^\/dev\/(fd|zram)/ {print $1, $2}')
  if [ "${#free[@]}" -ne 1 ]; then
    free=("${fitting[@]}")
  fi
  if [ "${#free[@]}" -ne 1 ]; then
    echo "data_volume: no single second disk of {{ size_gib }} GiB among: $(lsblk --noheadings --nodeps --output NAME,SIZE,TYPE | paste --serial --delimiters=,)" >&2
    exit 1
  fi
  device=${free[0]}
fi
{% include "steps/format.sh" %}
udevadm settle --timeout 60
systemctl daemon-reload
systemctl start {{ unit | shell }}
