# Gives the cluster's machines their rights in Consul.
cd /usr/local/lib/kube-provision && exec python3 -m discovery.rights --limit 240
