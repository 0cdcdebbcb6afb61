# Settings that the kubelet does not start with are taken back: a node is better with those of before than without any.
settings={{ settings | shell }}
new={{ new | shell }}
before=$new.before
flags=/var/lib/kubelet/kubeadm-flags.env

start() {
  systemctl restart kubelet.service
  for ((waited = 0; waited < 600; waited += 2)); do
    if curl --fail --silent --output /dev/null --max-time 5 --noproxy '*' http://127.0.0.1:10248/healthz; then
      return 0
    fi
    if [ "$(systemctl show --property NRestarts --value kubelet.service)" -ge 3 ]; then
      return 1
    fi
    sleep 2
  done
  return 1
}

if ! cmp --silent "$new" "$settings"; then
  if [ -e "$settings" ]; then
    cp "$settings" "$before.part"
  else
    : >"$before.part"
  fi
  mv "$before.part" "$before"
  install -D --mode 0644 "$new" "$settings.part"
  mv "$settings.part" "$settings"
fi
if ! grep --quiet -e '--config-dir' "$flags"; then
  sed --in-place {{ ("s|^\\(KUBELET_KUBEADM_ARGS=\"\\?\\)|\\1--config-dir=" ~ folder ~ " |") | shell }} "$flags"
fi
if start; then
  rm --force "$before" "$new"
  exit 0
fi
echo "the kubelet is not healthy with its new settings, which are taken back; it said:" >&2
journalctl --unit kubelet.service --lines 20 --output cat --no-pager >&2
if [ -s "$before" ]; then
  cp "$before" "$settings"
elif [ -e "$before" ]; then
  rm --force "$settings"
fi
rm --force "$before"
if ! start; then
  echo "it is not healthy with those of before either" >&2
fi
exit 1
