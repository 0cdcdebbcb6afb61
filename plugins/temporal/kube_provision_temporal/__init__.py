"""kube-provision on Temporal: each verb of each cluster as a durable run, beside the site that it is about."""
