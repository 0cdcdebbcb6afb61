# Asked for by ntp_servers: whatever checks a certificate comes later and needs the right time.
for _ in {1..120}; do
  if [ "$(timedatectl show --property NTPSynchronized --value)" = yes ]; then
    exit 0
  fi
  sleep 1
done
echo "the clock is not synchronised: does this machine reach the time servers"{% for server in servers %} {{ server | shell }}{% endfor %} >&2
exit 1
