//! The chapter's upgrade of four web nodes behind two HAProxys, while a visitor sends requests
//! continuously and always gets an answer.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::site::{Site, acquired, begins, ends, killed, resumed_elsewhere, script};
use crate::lab::{Kind, until};
use crate::project::{Project, Said};
use crate::sshd::{Skip, or_skip};
use crate::tier;

const WEB: [&str; 4] = ["web1", "web2", "web3", "web4"];
const BALANCERS: [&str; 2] = ["lb1", "lb2"];

struct Shop {
    site: Site,
}

/// Sends requests to each load balancer, alternating.
struct Visitor {
    ends: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    thread: Option<JoinHandle<Vec<String>>>,
}

impl Shop {
    fn start() -> Result<Shop, Skip> {
        tier::t3()?;
        for program in [
            "/usr/sbin/haproxy",
            "/usr/bin/socat",
            "/usr/bin/curl",
            "/usr/bin/python3",
        ] {
            tier::program(program)?;
        }
        let web = Kind {
            systemd: true,
            ..Kind::FREE
        };
        let names: Vec<_> = WEB
            .map(|name| (name, web.clone()))
            .into_iter()
            .chain(BALANCERS.map(|name| (name, Kind::FREE)))
            .collect();
        let shop = Shop {
            site: Site::start(&names)?,
        };
        for name in WEB {
            shop.site.node(name).root(&script("web.sh", ""));
        }
        let servers = WEB.map(|name| format!("{name}={}", shop.site.address(name)));
        let before = format!("web='{}'", servers.join(" "));
        for name in BALANCERS {
            shop.site.node(name).root(&script("haproxy.sh", &before));
            shop.await_all_up(name);
        }
        Ok(shop)
    }

    /// A load balancer's view of each web node.
    fn states(&self, balancer: &str) -> String {
        let ask = "echo 'show stat' | socat - /run/haproxy/admin.sock | \
                   awk -F, '$2 ~ /^web/ { printf \"%s%s\", sep, $18; sep = \" \" }'";
        self.site.node(balancer).root(ask)
    }

    fn await_all_up(&self, balancer: &str) {
        until("all are up", || self.states(balancer) == "UP UP UP UP");
    }

    fn visitor(&self) -> Visitor {
        Visitor::start(BALANCERS.map(|name| self.site.address(name)))
    }

    /// Every web node has the release, every load balancer sends visitors to all of them, and
    /// nothing is locked.
    #[track_caller]
    fn is_right(&self, version: &str) {
        assert_eq!(self.site.held(), Vec::<&str>::new());
        for name in WEB {
            assert_eq!(
                get(&self.site.address(name), 8080).unwrap(),
                version,
                "{name}"
            );
        }
        for name in BALANCERS {
            assert_eq!(self.states(name), "UP UP UP UP", "{name}");
        }
    }
}

fn get(address: &str, port: u16) -> Result<String, String> {
    let told = |error: std::io::Error| format!("{address}: {error}");
    let mut stream = TcpStream::connect(format!("{address}:{port}")).map_err(told)?;
    let timeout = Some(Duration::from_secs(20));
    stream.set_read_timeout(timeout).map_err(told)?;
    let ask = format!("GET /version HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(ask.as_bytes()).map_err(told)?;
    let mut said = String::new();
    stream.read_to_string(&mut said).map_err(told)?;
    match said.split_once("\r\n\r\n") {
        Some((head, body)) if head.contains(" 200 ") => Ok(body.trim().to_owned()),
        _ => Err(format!("{address}: {said}")),
    }
}

impl Visitor {
    fn start(addresses: [String; 2]) -> Visitor {
        let (ends, asked) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (its_end, count) = (Arc::clone(&ends), Arc::clone(&asked));
        let thread = std::thread::spawn(move || {
            let mut wrong = Vec::new();
            for address in addresses.iter().cycle() {
                if its_end.load(Ordering::SeqCst) {
                    break;
                }
                wrong.extend(get(address, 80).err());
                count.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(20));
            }
            wrong
        });
        Visitor {
            ends,
            asked,
            thread: Some(thread),
        }
    }

    /// Checks that each request got an answer.
    #[track_caller]
    fn got_answers(mut self) {
        self.ends.store(true, Ordering::SeqCst);
        let wrong = self.thread.take().unwrap().join().unwrap();
        let asked = self.asked.load(Ordering::SeqCst);
        assert!(asked > 20, "asked {asked} times");
        assert_eq!(wrong, Vec::<String>::new(), "of {asked}");
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
    }
}

fn words(version: &str) -> [String; 7] {
    [
        "run".to_owned(),
        "web.upgrade".to_owned(),
        format!("web={}", WEB.join(",")),
        format!("lb={}", BALANCERS.join(",")),
        "--set".to_owned(),
        format!("version={version}"),
        "--yes".to_owned(),
    ]
}

fn run(project: &Project, version: &str, status: i32) -> Said {
    project
        .opsbook(&words(version).each_ref().map(String::as_str))
        .ends(status)
}

#[test]
fn web_machines_are_upgraded_and_no_visitor_notices() {
    let Some(shop) = or_skip("T3", Shop::start()) else {
        return;
    };
    let (folder, other) = (shop.site.folder(), shop.site.folder());
    // The pause between batches is for people.
    for project in [&folder, &other] {
        let page = "manual/several/upgrade.md";
        let text = std::fs::read_to_string(project.path(page)).unwrap();
        assert!(text.contains(", wait: 2s"));
        project.write(page, &text.replace(", wait: 2s", ""));
    }
    one_balancer_is_held(&shop, &folder);
    an_installation_fails(&shop, &folder, &other);
    the_controller_dies_in_a_turn(&shop, &folder, &other);
    a_balancer_is_cut_off(&shop, &folder);
    a_web_machine_restarts(&shop, &folder);
}

fn one_balancer_is_held(shop: &Shop, folder: &Project) {
    let lock = acquired(folder, "lb2");
    let said = run(folder, "1.1", 4);
    said.has("BLOCKED").has("lb2: ").has("a disk is changed");
    assert_eq!(shop.site.held(), ["lb2"]);
    folder
        .opsbook(&["lock", "release", "lb2", "--run", &lock])
        .ends(0);
    assert_eq!(get(&shop.site.address("web1"), 8080).unwrap(), "1.0");
}

/// The installation on the third node fails: it stays without visitors, the fourth does not begin.
/// Repaired, and continued from a folder without a journal.
fn an_installation_fails(shop: &Shop, folder: &Project, other: &Project) {
    let visitor = shop.visitor();
    shop.site.node("web3").root("touch /srv/web/broken");
    let said = run(folder, "1.1", 1);
    said.has("web3").has("install").has("opsbook resume");
    for name in BALANCERS {
        assert_eq!(shop.states(name), "UP UP DRAIN UP", "{name}");
    }
    assert!(shop.site.untouched("web4"));
    assert_eq!(shop.site.held(), ["web3", "lb1", "lb2"]);
    let versions = WEB.map(|name| get(&shop.site.address(name), 8080).unwrap());
    assert_eq!(versions, ["1.1", "1.1", "1.0", "1.0"]);

    // Nobody else can run meanwhile.
    run(other, "1.2", 4).has("BLOCKED");
    shop.site.node("web3").root("rm /srv/web/broken");
    let halted = folder.events().remove(0).run;
    // The node has recorded that the step failed; the next controller runs it again.
    resumed_elsewhere(other, &halted, 1).has("web3: FAILED");
    other.opsbook(&["resume", &halted, "--yes"]).ends(0);
    visitor.got_answers();
    shop.is_right("1.1");
}

/// While a node is drained on both balancers, and during its installation.
fn the_controller_dies_in_a_turn(shop: &Shop, folder: &Project, other: &Project) {
    let visitor = shop.visitor();
    let words = words("1.2");
    let words = words.each_ref().map(String::as_str);
    let begins_there = begins("lb1", 1);
    let drains = |event: &opsbook::event::Event| {
        event.turn.as_deref() == Some("web2") && begins_there(event)
    };
    let run = killed(folder, &words, "web2 is drained", drains);
    resumed_elsewhere(other, &run, 0);
    shop.is_right("1.2");
    let words = self::words("1.3");
    let words = words.each_ref().map(String::as_str);
    killed(folder, &words, "web4 is installed", begins("web4", 2));
    folder.opsbook(&["resume", "--yes"]).ends(0);
    visitor.got_answers();
    shop.is_right("1.3");
}

/// Done on one load balancer, not on the other; that is reported, and nothing after it begins.
fn a_balancer_is_cut_off(shop: &Shop, folder: &Project) {
    let words = words("1.4");
    let words = [
        &words.each_ref().map(String::as_str)[..],
        &["--reconnect", "3s"],
    ]
    .concat();
    let mut running = folder.opsbook(&words).start();
    running.until("web1 is installed", ends("web1", 2));
    shop.site.node("lb2").cut();
    let said = running.wait();
    assert_eq!(said.status, 3, "{said:?}");
    said.has("lb2");
    assert_eq!(get(&shop.site.address("web2"), 8080).unwrap(), "1.3");
    shop.site.node("lb2").heal();
    folder.opsbook(&["resume", "--yes"]).ends(0);
    shop.is_right("1.4");
}

/// In the middle of its own turn: its service comes back with it, and the run continues.
fn a_web_machine_restarts(shop: &Shop, folder: &Project) {
    let visitor = shop.visitor();
    let words = words("1.5");
    let words = words.each_ref().map(String::as_str);
    let mut running = folder.opsbook(&words).start();
    running.until("web2 is installed", begins("web2", 2));
    shop.site.node("web2").power_off();
    shop.site.node("web2").power_on();
    let said = running.wait();
    if said.status != 0 {
        // The node ended the step while shutting down, or its end is unknown.
        assert!([1, 3].contains(&said.status), "{said:?}");
        said.has("web2");
        // Again for this node: the later nodes are still drained first.
        let again = ["resume", "--yes", "--start-at", "install"];
        let said = folder.opsbook(&again).ends(0);
        said.has("these start at the first step: web3, web4\n");
    }
    visitor.got_answers();
    shop.is_right("1.5");
}
