# A cluster of PostgreSQL as Debian makes it, the primary of the others. Run as root on the node.
export LC_ALL=C.UTF-8
pg_createcluster 15 shop -p 5432 -- --no-sync >/dev/null
cat >>/etc/postgresql/15/shop/postgresql.conf <<END
listen_addresses = '*'
fsync = off
shared_buffers = 16MB
wal_keep_size = 64MB
wal_retrieve_retry_interval = 200ms
END
echo "host all,replication all $network trust" >>/etc/postgresql/15/shop/pg_hba.conf
pg_ctlcluster 15 shop start
cd /
runuser -u postgres -- psql -p 5432 -Xq <<END
create role replicator replication login;
create role writer login;
create table orders (id bigserial primary key);
grant all on orders, orders_id_seq to writer;
END
