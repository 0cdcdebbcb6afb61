# A further disk is found by its label, which it gets when its format is whole. Until then it is a blank disk of its size that
# neither carries the root file system nor is configured as a volume; those of one size may stand in for each other. A machine's
# only one may have any size.
labels=({{ labels | join(" ") }})
sizes=({{ sizes | join(" ") }})
kinds=({{ kinds | join(" ") }})
units=({{ units | map("shell") | join(" ") }})
devices=() missing=()
declare -A bytes_of

is_free() {
  local used
  for used in "${taken[@]}"; do
    if [ "$1" = "$used" ]; then
      return 1
    fi
  done
}

is_blank() {
  local found=0
  blkid --probe "$1" >/dev/null || found=$?
  [ "$found" -eq 2 ]
}

tag() {
  blkid --probe --output value --match-tag "$1" "$2" || true
}

drop_in() {
  echo "/etc/systemd/system/${units[$1]}.d/kube-provision-disk.conf"
}

# From the next boot on by what no other disk has: whoever writes to one that is plugged in later may label it alike.
mount_by_uuid() {
  install -D --mode 0644 /dev/stdin "$(drop_in "$1")" <<<"[Mount]
What=/dev/disk/by-uuid/$2"
  sync "$(drop_in "$1")"
}

# What is left of a format that was cut off bears the UUID that was chosen for it, and no label yet.
forget_half_made() {
  local uuid half
  uuid=$(sed --quiet 's|^What=/dev/disk/by-uuid/||p' "$(drop_in "$1")" 2>/dev/null) || return 0
  if [ -n "$uuid" ] && half=$(blkid --uuid "$uuid") && [ -z "$(tag LABEL "$half")" ]; then
    wipefs --all --quiet "$half"
  fi
}

udevadm settle --timeout 60
for number in "${!labels[@]}"; do
  devices[number]=$(blkid --label "${labels[number]}" || true)
  if [ -z "${devices[number]}" ]; then
    missing+=("$number")
    forget_half_made "$number"
  fi
done
if [ "${#missing[@]}" -gt 0 ]; then
  root=$(findmnt --noheadings --nofsroot --first-only --output SOURCE /)
  mapfile -t taken < <(lsblk --noheadings --inverse --paths --list --output NAME,TYPE "$root" | awk '$2 == "disk" {print $1}')
  if [ "${#taken[@]}" -eq 0 ]; then
    echo "data_volumes: it cannot be told which disk carries the root file system ($root)" >&2
    exit 1
  fi
  {% for it in taken %}
  taken+=("$(readlink --canonicalize {{ it | shell }})")
  {% endfor %}
  taken+=("${devices[@]}")
  free=()
  while read -r name bytes; do
    if is_free "$name"; then
      free+=("$name")
      bytes_of[$name]=$bytes
    fi
  done < <(lsblk --noheadings --nodeps --bytes --paths --list --output NAME,SIZE,TYPE,RO |
    awk '$3 == "disk" && $4 == 0 && $1 !~ /^\/dev\/(fd|zram)/ {print $1, $2}')
  for number in "${missing[@]}"; do
    size=${sizes[number]} fitting=() wanted=0
    for name in "${free[@]}"; do
      if [ "${bytes_of[$name]}" -eq $((size * 1024 ** 3)) ] || [ "${#labels[@]}:${#free[@]}" = 1:1 ]; then
        if is_free "$name" && is_blank "$name"; then
          fitting+=("$name")
        fi
      fi
    done
    for other in "${missing[@]}"; do
      if [ -z "${devices[other]}" ] && [ "${sizes[other]}" -eq "$size" ]; then
        wanted=$((wanted + 1))
      fi
    done
    if [ "${#fitting[@]}" -ne "$wanted" ]; then
      echo "data_volumes: of $size GiB, blank disks wanted: $wanted, free: ${#fitting[@]}, among: $(lsblk --noheadings --nodeps --output NAME,SIZE,TYPE,FSTYPE | paste --serial --delimiters=,)" >&2
      exit 1
    fi
    devices[number]=${fitting[0]}
    taken+=("${fitting[0]}")
  done
  for number in "${missing[@]}"; do
    device=${devices[number]} label=${labels[number]} uuid=$(cat /proc/sys/kernel/random/uuid)
    mount_by_uuid "$number" "$uuid"
    case ${kinds[number]} in
      ext4)
        mkfs.ext4 -q -U "$uuid" "$device"
        e2label "$device" "$label"
        ;;
      xfs)
        mkfs.xfs -q -m uuid="$uuid" "$device"
        xfs_admin -L "$label" "$device" >/dev/null
        ;;
    esac
  done
fi
for number in "${!labels[@]}"; do
  device=${devices[number]} kind=${kinds[number]} holds=$(tag TYPE "${devices[number]}")
  if [ "$holds" != "$kind" ]; then
    echo "data_volumes: $device is labelled ${labels[number]} and holds $holds instead of $kind: it is left as it is" >&2
    exit 1
  fi
  mount_by_uuid "$number" "$(tag UUID "$device")"
done
udevadm settle --timeout 60
systemctl daemon-reload
systemctl start "${units[@]}"
