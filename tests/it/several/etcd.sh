# A member of a new cluster of `$members`, words `name=address`. Run as root on the node.
{
  echo "ETCD_NAME=$name"
  echo "ETCD_DATA_DIR=/var/lib/etcd/shop"
  echo "ETCD_LISTEN_PEER_URLS=http://$address:2380"
  echo "ETCD_INITIAL_ADVERTISE_PEER_URLS=http://$address:2380"
  echo "ETCD_LISTEN_CLIENT_URLS=http://$address:2379"
  echo "ETCD_ADVERTISE_CLIENT_URLS=http://$address:2379"
  cluster=
  for one in $members; do cluster="$cluster,${one%%=*}=http://${one#*=}:2380"; done
  echo "ETCD_INITIAL_CLUSTER=${cluster#,}"
  echo "ETCD_INITIAL_CLUSTER_STATE=new"
} >/etc/default/etcd
systemctl start --no-block etcd
