#!/bin/sh
# Passes all tests: installs what they need (as root, where apt-get is), looks at the text,
# says which kinds of nodes this machine can give, runs everything. Long output goes to
# target/checked/*.log; the last lines are the test runner's own.
set -eu
cd "$(dirname "$0")/.."
logs=target/checked
mkdir -p "$logs"
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"

# What the nodes of the tests are made of: package, and a file that shows that it is there.
needed() {
  cat <<'P'
openssh-server /usr/sbin/sshd
openssh-client /usr/bin/ssh-keygen
git /usr/bin/git
sudo /usr/bin/sudo
iproute2 /sbin/ip
nftables /usr/sbin/nft
util-linux /usr/bin/unshare
mount /bin/mount
procps /bin/ps
busybox-static /bin/busybox
systemd /lib/systemd/systemd
dbus /usr/bin/dbus-daemon
libpam-systemd /lib/x86_64-linux-gnu/security/pam_systemd.so
nginx-light /usr/sbin/nginx
etcd-server /usr/bin/etcd
etcd-client /usr/bin/etcdctl
postgresql /usr/bin/pg_lsclusters
haproxy /usr/sbin/haproxy
socat /usr/bin/socat
python3-venv /usr/bin/python3
shellcheck /usr/bin/shellcheck
curl /usr/bin/curl
openssl /usr/bin/openssl
bind9-dnsutils /usr/bin/dig
chrony /usr/sbin/chronyd
netcat-openbsd /bin/nc
bsdutils /usr/bin/script
autotools-dev /usr/share/misc/config.guess
ksh /usr/bin/ksh
zsh /usr/bin/zsh
fish /usr/bin/fish
tcsh /usr/bin/tcsh
chromium /usr/bin/chromium
npm /usr/bin/npm
neovim /usr/bin/nvim
rclone /usr/bin/rclone
iptables /usr/sbin/iptables-restore
prometheus /usr/bin/promtool
chromium-driver /usr/bin/chromedriver
poppler-utils /usr/bin/pdftotext
docker-registry /usr/bin/docker-registry
skopeo /usr/bin/skopeo
nats-server /usr/sbin/nats-server
pass /usr/bin/pass
age /usr/bin/age
gnupg /usr/bin/gpg
libfaketime /usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1
P
}

missing() {
  needed | while read -r package file; do
    if [ ! -e "$file" ]; then printf '%s ' "$package"; fi
  done
  # The module is a package of its own, and python3 alone does not show it. Nodes of the tests
  # have the system's one.
  /usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null || printf 'python3-venv '
}

# stage NAME COMMAND…: quiet when it goes well, its end when not.
stage() {
  name=$1; shift
  began=$(date +%s)
  if "$@" >"$logs/$name.log" 2>&1 </dev/null; then
    echo "ok       $name ($(($(date +%s) - began)) s)"
  else
    echo "FAILED   $name: $*" >&2
    tail -n 60 "$logs/$name.log" >&2
    echo "The whole of it: $logs/$name.log" >&2
    exit 1
  fi
}

install() {
  # A service that a package brings is not to be started here.
  export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
  apt-get -q update
  # shellcheck disable=SC2086 # packages are words
  apt-get -q install -y --no-install-recommends $1
}

lacking=$(missing)
if [ -n "$lacking" ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    stage install install "$lacking"
  else
    echo "missing  $lacking(install them for all tests; what needs them is skipped by name)"
  fi
fi

stage format cargo fmt --check
stage clippy cargo clippy --locked --all-targets -- -D warnings
RUSTDOCFLAGS='-D warnings' stage docs cargo doc --locked --no-deps --document-private-items
if command -v shellcheck >/dev/null; then
  stage shellcheck shellcheck checks/*.sh tests/all.sh tests/pages.sh packaging/*.sh packaging/github/*.sh
else
  echo "skipped  shellcheck: not installed"
fi
# Of the dependencies: their licences, their sources, no wildcards. Its own build is one minute.
if ! command -v cargo-deny >/dev/null; then
  tools=$PWD/target/tools
  [ -x "$tools/bin/cargo-deny" ] || stage deny-install cargo install --quiet --locked --debug \
    --no-default-features --root "$tools" cargo-deny@0.20.2
  PATH=$PATH:$tools/bin
fi
stage deny cargo deny --locked check licenses bans sources
# What knows whether everybody can read the book.
if command -v npm >/dev/null; then
  axe() { (cd target/tools && tar -xzOf "$(npm pack --silent axe-core@4.14.1)" package/axe.min.js >axe.min.js); }
  mkdir -p target/tools
  [ -s target/tools/axe.min.js ] || stage axe axe
fi
# A server of S3, which verifies who asks. The system's Python is the one with `venv`.
if /usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null; then
  moto() {
    /usr/bin/python3 -m venv target/tools/moto &&
      target/tools/moto/bin/pip install --quiet --disable-pip-version-check \
        'moto[s3]==5.2.5' flask==3.1.3 flask-cors==6.0.5 werkzeug==3.1.9
  }
  [ -x target/tools/moto/bin/moto_server ] || stage moto moto
fi
# A client of the language server that has what each editor says of itself.
if /usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null; then
  clients() {
    /usr/bin/python3 -m venv target/tools/clients &&
      target/tools/clients/bin/pip install --quiet --disable-pip-version-check \
        pytest-lsp==1.0.1 pytest==9.2.0 pytest-asyncio==1.5.0 pygls==2.1.1 lsprotocol==2025.0.0
  }
  [ -x target/tools/clients/bin/pytest ] || stage clients-install clients
fi
# The README's first command, as it stands there, in a home of its own. An optimising compiler
# refuses types that the one for tests takes; the least of its levels shows that.
first() (
  export CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off
  export CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
  export CARGO_HOME="${CARGO_HOME:-$HOME/.cargo}" RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}"
  HOME=$(mktemp -d) && export HOME &&
    sh -c "$(sed -n '/^cargo run --release/p' README.md) --yes" && rm -r "$HOME"
)
stage first first
stage build cargo test --locked --all-targets --no-run
# The language server, as editors speak to it.
if [ -x target/tools/clients/bin/pytest ]; then
  lsp() {
    OPSBOOK_PROGRAM=$PWD/target/debug/opsbook \
      target/tools/clients/bin/pytest -q -p no:cacheprovider -c tests/clients/pytest.ini tests/clients
  }
  stage lsp lsp
elif [ "${CI:-}" = true ] && [ "$(id -u)" = 0 ]; then
  echo "FAILED   lsp: the system's python3 has no venv" >&2
  exit 1
else
  echo "skipped  lsp: the system's python3 has no venv"
fi
# The extension of VS Code: its grammar in VS Code's engine, its commands with the program.
if command -v npm >/dev/null; then
  vscode() {
    (cd editors/vscode && npm ci --silent &&
      OPSBOOK_PROGRAM=$PWD/../../target/debug/opsbook OPSBOOK_MANUAL=$PWD/../.. npm test --silent)
  }
  stage vscode vscode
else
  echo "skipped  vscode: npm is not installed"
fi
# The examples in the documentation: the runner below does not know them.
stage examples cargo test --locked --doc

# Public pages that run after a few words on their fences come from where their people keep them.
if [ -z "${OPSBOOK_PAGES:-}" ] && ! sh tests/pages.sh >"$logs/pages.log" 2>&1; then
  echo "skipped  public pages that could not be brought: $logs/pages.log"
fi

# Each tier's own test, first and aloud: which kinds of nodes there are here, and why not.
tiers() { cargo test --locked --quiet --test it -- tiers:: --nocapture --test-threads=1; }
stage tiers tiers
grep -ohE '(ran|skipped) T[0-9].*' "$logs/tiers.log" || true

# How often lint is wrong about the scripts of this Debian: counted aloud.
scripts() { cargo test --locked --quiet --test it -- scripts::f45_ --nocapture; }
stage scripts scripts
grep -ohE '[0-9]+ scripts: .*' "$logs/scripts.log"

if command -v cargo-nextest >/dev/null; then
  exec cargo nextest run --locked
fi
exec cargo test --locked
