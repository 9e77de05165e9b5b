# A load balancer in front of `$web`, words `name=address`. Run as root on the node.
mkdir -p /run/haproxy
{
  cat <<'END'
global
  stats socket /run/haproxy/admin.sock mode 660 level admin
  pidfile /run/haproxy.pid
defaults
  mode http
  timeout connect 2s
  timeout client 10s
  timeout server 10s
  option redispatch
  retries 3
frontend site
  bind :80
  default_backend shop
backend shop
  balance roundrobin
  option httpchk GET /version
  default-server check inter 300ms fall 2 rise 1
END
  for one in $web; do echo "  server ${one%%=*} ${one#*=}:8080"; done
} >/etc/haproxy/haproxy.cfg
/usr/sbin/haproxy -D -f /etc/haproxy/haproxy.cfg
