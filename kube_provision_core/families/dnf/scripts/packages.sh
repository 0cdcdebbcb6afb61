# Whether a package is installed, named as dnf wants it: a name, a pattern of name, version and release, or what one provides.
installed() {
  if [[ $1 == *\** ]]; then
    is_installed_as "$1"
  else
    rpm --query --quiet --whatprovides "$1"
  fi
}

is_installed_as() {
  local found
  while read -r found; do
    # shellcheck disable=SC2053 # a pattern
    if [[ $found == $1 ]]; then
      return 0
    fi
  done < <(rpm --query --all --queryformat '%{NAME}-%{VERSION}-%{RELEASE}\n')
  return 1
}

for unit in "${masked[@]}"; do
  systemctl mask --quiet "$unit"
  if systemctl is-active --quiet "$unit"; then
    systemctl stop "$unit"
  fi
done

# Not --quiet: dnf would not say either why it fetches nothing.
install() {
  dnf --assumeyes --setopt=install_weak_deps=False --disableexcludes="${unlocked[0]}" "$@" install "${lacking[@]}"
}

lacking=()
for package in "${wanted[@]}"; do
  installed "$package" || lacking+=("$package")
done
if [ "${#lacking[@]}" -gt 0 ]; then
  keep
  # Where a repository has gone, what was fetched before it went will do.
  install || install --cacheonly 2>/dev/null
fi
give_back

if [ "${#enabled[@]}" -gt 0 ]; then
  systemctl daemon-reload
  systemctl enable --quiet "${enabled[@]}"
fi
if [ "${#started[@]}" -gt 0 ]; then
  systemctl start "${started[@]}"
fi
