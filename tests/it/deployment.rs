//! The reference deployment of our own manual, on a node with systemd, sudo and a network of
//! its own: prepared, released, upgraded, rolled back, behind its firewall; and broken.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use opsbook::journal;

use crate::lab::{Node, PASSWORD, until};
use crate::project::{Project, Said, node};
use crate::sshd::{Skip, or_skip};
use crate::tier;

/// What a production node has none of.
const BUILD_TOOLS: &str = "cc gcc g++ clang make";
const NOT_OPEN: u16 = 9099;

/// This project's own manual, in which `shop1` is a node of the laboratory.
struct Deployment {
    node: Node,
    project: Project,
}

impl Deployment {
    fn start() -> Result<Deployment, Skip> {
        tier::program("/usr/sbin/nginx")?;
        tier::program("/usr/sbin/nft")?;
        let node = Node::with_systemd()?;
        let project = Project::of_our_own();
        project.write("password", PASSWORD);
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(project.path("password"), private).unwrap();
        let deployment = Deployment { node, project };
        deployment.reached_by("");
        Ok(deployment)
    }

    /// Says how `shop1` is reached, and more about it.
    fn reached_by(&self, more: &str) {
        let text = node("shop1", &self.node.ssh(), more);
        let text = format!("opsbook: 1\nnodes:\n{text}");
        self.project.write("nodes/20-laboratory.yaml", &text);
    }

    fn without_build_tools(self) -> Deployment {
        self.node.root(&format!(
            "for tool in {BUILD_TOOLS}; do rm -f \"$(command -v $tool || :)\"; done"
        ));
        self
    }

    #[track_caller]
    fn run(&self, arguments: &[&str], status: i32) -> Said {
        let run = [
            &["run"],
            arguments,
            &["shop1", "--sudo-password-file", "password", "--yes"],
        ];
        self.project.opsbook(&run.concat()).ends(status)
    }

    #[track_caller]
    fn test(&self, arguments: &[&str], status: i32) -> Said {
        let test = [
            &[
                "test",
                "--nodes",
                "shop1",
                "--sudo-password-file",
                "password",
            ],
            arguments,
        ];
        self.project.opsbook(&test.concat()).ends(status)
    }

    /// The run that began last.
    fn newest(&self) -> String {
        journal::runs(&self.project.state())
            .into_iter()
            .max()
            .unwrap()
    }

    /// Gives up a run that has halted.
    #[track_caller]
    fn give_back(&self, run: &str) {
        let release = ["lock", "release", "shop1", "--run", run];
        self.project.opsbook(&release).ends(0);
    }

    /// What the site says to a browser elsewhere.
    fn get(&self, path: &str) -> String {
        let url = format!("http://{}{path}", self.node.address());
        let curl = ["-sS", "--noproxy", "*", "-m", "10", &url];
        let out = Command::new("curl").args(curl).output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    }

    fn answers(&self, port: u16) -> bool {
        let to: SocketAddr = format!("{}:{port}", self.node.address()).parse().unwrap();
        TcpStream::connect_timeout(&to, Duration::from_secs(2)).is_ok()
    }
}

#[test]
fn a_web_service_is_released_upgraded_and_rolled_back() {
    let Some(shop) = or_skip("T3", Deployment::start()) else {
        return;
    };
    // With a compiler on the node, nothing is touched.
    let said = shop.run(&["shop.prepare"], 4);
    said.has("no-build-tools");
    assert!(!shop.node.path("/srv/shop").exists());

    let shop = shop.without_build_tools();
    shop.run(&["shop.prepare"], 0);
    // Where there is nothing to come back to, nothing is touched, and nothing is in the way.
    let blocked = |shop: &Deployment| {
        shop.run(&["shop.rollback"], 4)
            .has("BLOCKED")
            .has("there is no previous version");
    };
    blocked(&shop);
    shop.run(&["shop.upgrade", "--set", "version=1.0.0"], 0);
    assert_eq!(shop.get("/version"), "1.0.0\n");
    shop.run(&["shop.firewall"], 0);
    shop.test(&[], 0).has("shop1::shop::http");

    shop.run(&["shop.upgrade", "--set", "version=1.1.0"], 0);
    assert_eq!(shop.get("/version"), "1.1.0\n");
    shop.run(&["shop.rollback"], 0);
    assert_eq!(shop.get("/version"), "1.0.0\n");

    // A release that does not start stops where that shows, and the way back is as written.
    let page = "manual/shop/release.md";
    let text = fs::read_to_string(shop.project.path(page)).unwrap();
    let hasty = text.replacen("eventually=30s/1s", "eventually=3s/1s", 1);
    shop.project.write(page, &hasty);
    let main = "examples/shop/shop/__main__.py";
    let good = fs::read_to_string(shop.project.path(main)).unwrap();
    shop.project.write(main, "raise SystemExit('broken')\n");
    let said = shop.run(&["shop.upgrade", "--set", "version=1.2.0"], 1);
    said.has("opsbook resume").has("shop.upgrade::live");
    let halted = shop.newest();
    assert_ne!(shop.get("/version"), "1.0.0\n");
    shop.test(&["shop::"], 101).has("shop1::shop::version");
    shop.run(&["shop.rollback"], 4);
    shop.give_back(&halted);
    shop.run(&["shop.rollback"], 0);
    assert_eq!(shop.get("/version"), "1.0.0\n");

    // What never answered is nothing to come back to.
    blocked(&shop);
    assert_eq!(shop.get("/version"), "1.0.0\n");

    // All of it again, as the tests of a staging node.
    shop.project.write(main, &good);
    let rehearsed = ["shop1::shop", "--include-ignored", "--set", "version=1.1.0"];
    shop.test(&rehearsed, 0).has("shop.rollback");
    assert_eq!(shop.get("/version"), "1.0.0\n");
    // What is neither up nor the way back is gone.
    let kept = shop.node.root("ls /srv/shop/venvs");
    assert_eq!(kept, "1.0.0\n1.1.0");
}

#[test]
fn a_firewall_keeps_out_what_it_should_and_never_the_operator() {
    let Some(shop) = or_skip("T3", Deployment::start()) else {
        return;
    };
    let shop = shop.without_build_tools();
    let listen = format!("systemd-run --quiet python3 -m http.server --bind 0.0.0.0 {NOT_OPEN}");
    shop.node.root(&listen);
    until("something listens", || shop.answers(NOT_OPEN));
    shop.run(&["shop.firewall"], 0);
    assert!(!shop.answers(NOT_OPEN) && shop.answers(22));
    let rules = shop.node.root("nft list table inet shop");

    // Rules that somebody has changed by hand are seen, and put right.
    shop.node
        .root("nft flush chain inet shop input; nft 'add rule inet shop input accept'");
    assert!(shop.answers(NOT_OPEN));
    shop.test(&["shop.outside::rules"], 101);
    shop.run(&["shop.firewall"], 0);
    shop.test(&["shop.outside::rules"], 0);
    assert_eq!(shop.node.root("nft list table inet shop"), rules);

    // Rules that lock the operator out are noticed, never kept, and gone before long.
    let page = "manual/shop/node.md";
    let text = fs::read_to_string(shop.project.path(page)).unwrap();
    assert!(text.contains("after two minutes") && text.contains("--on-active=2min"));
    shop.project
        .write(page, &text.replace("--on-active=2min", "--on-active=15s"));
    shop.reached_by("    shop: {open: [80]}\n");
    let said = shop.run(&["shop.firewall"], 1);
    said.has("new-connection");
    assert!(!shop.answers(22));
    let timer = "systemctl is-active shop-firewall-undo.timer";
    assert_eq!(shop.node.root(timer), "active");
    // The timer is as exact as the page says: not one to two minutes late.
    let locked_out = Instant::now();
    until("the rules are undone", || shop.answers(22));
    assert!(locked_out.elapsed() < Duration::from_secs(45));
    assert!(shop.answers(22) && !shop.answers(NOT_OPEN));
    assert_eq!(shop.node.root("nft list table inet shop"), rules);
}
