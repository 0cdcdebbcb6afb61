# shellcheck shell=bash
# Runs where a template is baked, after everything is installed.
dnf --quiet clean all
rm --recursive --force /var/cache/dnf
