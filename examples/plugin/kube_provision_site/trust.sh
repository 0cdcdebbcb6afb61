# shellcheck shell=bash
# Debian's family and Red Hat's each have a folder for authorities of one's own, and a command that takes them up.
if command -v update-ca-certificates >/dev/null; then
  install -D --mode=0644 /etc/kube-provision/company-ca.crt /usr/local/share/ca-certificates/company-ca.crt
  update-ca-certificates
else
  install -D --mode=0644 /etc/kube-provision/company-ca.crt /etc/pki/ca-trust/source/anchors/company-ca.crt
  update-ca-trust
fi
