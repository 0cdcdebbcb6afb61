# Cloud images have no firewalld; installed servers do.
if ! command -v firewall-offline-cmd >/dev/null; then
  exit 0
fi
zone=$(firewall-offline-cmd --get-default-zone)
for service in /etc/firewalld/services/kube-provision*.xml; do
  name=$(basename "$service" .xml)
  firewall-offline-cmd --zone="$zone" --add-service="$name"
done
if systemctl is-active --quiet firewalld.service; then
  firewall-cmd --reload
fi
