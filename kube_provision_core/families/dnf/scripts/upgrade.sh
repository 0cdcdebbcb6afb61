# Kubernetes' own packages stay, whichever repository has them. Not --quiet: dnf would not say either why it fetches nothing.
keep
dnf --assumeyes --refresh "${held[@]/#/--exclude=}" upgrade
give_back

# A minimal system lacks the plugin, and then its kernel alone is looked at.
if dnf needs-restarting --help >/dev/null 2>&1 && ! dnf needs-restarting --reboothint; then
  touch /run/reboot-required
fi
