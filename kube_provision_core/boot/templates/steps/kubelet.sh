found=$(kubelet --version)
if [ "$found" != {{ ("Kubernetes v" ~ version) | shell }} ]; then
  echo "kubelet here is $found, and v{{ version }} is needed" >&2
  exit 1
fi
systemctl daemon-reload
systemctl restart kubelet.service
for ((waited = 0; waited < 600; waited += 2)); do
  if curl --fail --silent --output /dev/null --max-time 5 --noproxy '*' http://127.0.0.1:10248/healthz; then
    exit 0
  fi
  sleep 2
done
echo "the kubelet is not healthy 600 s after it was started anew; it said:" >&2
journalctl --unit kubelet.service --lines 20 --output cat --no-pager >&2
exit 1
