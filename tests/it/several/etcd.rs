//! A member of an etcd cluster is lost, and another node replaces it.

use super::site::{Site, begins, ends, killed, resumed_elsewhere, script};
use crate::lab::{Kind, until};
use crate::project::Project;
use crate::sshd::{Skip, or_skip};
use crate::tier;

const NAMES: [&str; 4] = ["e1", "e2", "e3", "e4"];
const PAGE: &str = include_str!("etcd.md");
const GROUPS: &str = "opsbook: 1
groups:
  etcd:
    cluster: shop
    unit: etcd
    env_file: /etc/default/etcd
    data_dir: /var/lib/etcd/shop
    endpoint: \"http://${address}:2379\"
    peer: \"http://${address}:2380\"
nodes:
  e1: {groups: [etcd]}
  e2: {groups: [etcd]}
  e3: {groups: [etcd]}
  e4: {groups: [etcd]}
";

struct Cluster {
    site: Site,
}

impl Cluster {
    /// A cluster of the first three; the fourth node is empty.
    fn start() -> Result<Cluster, Skip> {
        tier::t3()?;
        tier::program("/usr/bin/etcd")?;
        tier::program("/usr/bin/etcdctl")?;
        let kind = Kind {
            systemd: true,
            ..Kind::FREE
        };
        let cluster = Cluster {
            site: Site::start(&NAMES.map(|name| (name, kind.clone())))?,
        };
        let three = &NAMES[..3];
        let addresses = three
            .iter()
            .map(|name| format!("{name}={}", cluster.site.address(name)));
        let members = addresses.collect::<Vec<_>>().join(" ");
        for name in three {
            let address = cluster.site.address(name);
            let before = format!("name={name} address={address} members='{members}'");
            cluster.site.node(name).root(&script("etcd.sh", &before));
        }
        until("the cluster is there", || {
            cluster.members("e1") == ["e1", "e2", "e3"]
        });
        Ok(cluster)
    }

    fn folder(&self) -> Project {
        self.site.folder_of(PAGE, GROUPS)
    }

    /// The started and voting members, according to one of them.
    fn members(&self, by: &str) -> Vec<String> {
        let endpoint = format!("http://{}:2379", self.site.address(by));
        let list = format!("etcdctl --endpoints {endpoint} member list || :");
        let list = self.site.node(by).root(&list);
        let lines = list
            .lines()
            .map(|line| line.split(", ").collect::<Vec<_>>());
        let voting = lines
            .filter(|words| words.get(1) == Some(&"started") && words.last() == Some(&"false"));
        let mut names: Vec<_> = voting.map(|words| words[2].to_owned()).collect();
        names.sort_unstable();
        names
    }
}

fn words<'a>(via: &'a str, new: &'a str, dead: &'a str) -> [&'a str; 6] {
    ["run", "etcd.replace", via, new, dead, "--yes"]
}

#[test]
fn a_lost_member_of_etcd_is_replaced_and_never_reached() {
    let Some(cluster) = or_skip("T3", Cluster::start()) else {
        return;
    };
    let (folder, other) = (cluster.folder(), cluster.folder());
    // Through the member that does not answer: nothing is changed.
    cluster.site.node("e3").root("systemctl stop etcd");
    let said = folder
        .opsbook(&words("via=e3", "new=e4", "dead=e2"))
        .ends(4);
    said.has("BLOCKED").has("etcd.healthy::answers");
    assert!(NAMES.iter().all(|name| cluster.site.untouched(name)));

    // The node is lost. It is only named and never reached: the controller dies after announcing
    // the new one, and another continues.
    cluster.site.node("e3").power_off();
    let run = words("via=e1", "new=e4", "dead=e3");
    let run = killed(&folder, &run, "e4 is announced", ends("e1", 3));
    resumed_elsewhere(&other, &run, 0);
    assert_eq!(cluster.members("e2"), ["e1", "e2", "e4"]);
    assert_eq!(cluster.site.held(), Vec::<&str>::new());

    // It is back, empty, instead of another one. etcd lets no member go before it has seen the
    // others for a while: the step fails, and runs again until it is OK.
    cluster.site.node("e3").power_on();
    assert!(cluster.site.untouched("e3"));
    cluster
        .site
        .node("e3")
        .root("systemctl stop etcd; rm -rf /var/lib/etcd/shop");
    let run = [
        &words("via=e1", "new=e3", "dead=e2")[..],
        &["--stop-after", "find"],
    ]
    .concat();
    folder.opsbook(&run).ends(5);
    let resume = ["resume", "--yes", "--stop-after", "announce"];
    until("e3 is announced", || {
        folder.opsbook(&resume).said().status == 5
    });

    // The member that is used for this loses its power when the new one starts.
    let mut running = folder.opsbook(&["resume", "--yes"]).start();
    running.until("e3 is started", begins("e3", 4));
    cluster.site.node("e1").power_off();
    cluster.site.node("e1").power_on();
    cluster
        .site
        .node("e1")
        .root("systemctl start --no-block etcd");
    let said = running.wait();
    if said.status != 0 {
        assert_eq!(said.status, 3, "{said:?}");
        said.has("e1");
        folder.opsbook(&["resume", "--yes"]).ends(0);
    }
    assert_eq!(cluster.members("e1"), ["e1", "e3", "e4"]);
    assert_eq!(cluster.site.held(), Vec::<&str>::new());
}
