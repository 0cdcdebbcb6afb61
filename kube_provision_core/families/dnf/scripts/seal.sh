dnf --quiet clean all
rm --recursive --force /var/cache/dnf
