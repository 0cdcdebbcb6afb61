# A further disk is found by its label. Until it has one, it is a blank disk of its size that neither carries the root file
# system nor is configured as a volume; those of one size may stand in for each other. A machine's only one may have any size.
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

udevadm settle --timeout 60
for number in "${!labels[@]}"; do
  devices[number]=$(blkid --label "${labels[number]}" || true)
  if [ -z "${devices[number]}" ]; then
    missing+=("$number")
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
  if [ "${#labels[@]}:${#free[@]}" = 1:1 ]; then
    devices=("${free[0]}") missing=()
  fi
  for number in "${missing[@]}"; do
    size=${sizes[number]} fitting=() wanted=0
    for name in "${free[@]}"; do
      if [ "${bytes_of[$name]}" -eq $((size * 1024 ** 3)) ] && is_free "$name" && is_blank "$name"; then
        fitting+=("$name")
      fi
    done
    for other in "${missing[@]}"; do
      if [ -z "${devices[other]}" ] && [ "${sizes[other]}" -eq "$size" ]; then
        wanted=$((wanted + 1))
      fi
    done
    if [ "${#fitting[@]}" -ne "$wanted" ]; then
      echo "data_volumes: of $size GiB, blank disks wanted: $wanted, free: ${#fitting[@]}, among: $(lsblk --noheadings --nodeps --output NAME,SIZE,TYPE | paste --serial --delimiters=,)" >&2
      exit 1
    fi
    devices[number]=${fitting[0]}
    taken+=("${fitting[0]}")
  done
fi
for number in "${!labels[@]}"; do
  device=${devices[number]} kind=${kinds[number]} label=${labels[number]}
  {% include "steps/format.sh" %}
  # From the next boot on by what no other disk has: whoever writes to one that is plugged in later may label it alike.
  install -D --mode 0644 /dev/stdin "/etc/systemd/system/${units[number]}.d/kube-provision-disk.conf" <<<"[Mount]
What=/dev/disk/by-uuid/$(blkid --probe --output value --match-tag UUID "$device")"
done
udevadm settle --timeout 60
systemctl daemon-reload
systemctl start "${units[@]}"
