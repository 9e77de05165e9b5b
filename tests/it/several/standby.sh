# A standby of `$primary`, whose configuration is here already. Run as root on the node.
export LC_ALL=C.UTF-8
data=/var/lib/postgresql/15/shop
cd /
runuser -u postgres -- pg_basebackup -h "$primary" -p 5432 -U replicator -D "$data" -c fast --no-sync
echo "primary_conninfo = 'host=$primary port=5432 user=replicator application_name=$name'" >>"$data/postgresql.auto.conf"
runuser -u postgres -- touch "$data/standby.signal"
pg_ctlcluster 15 shop start
