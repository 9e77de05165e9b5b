//! Probes of kernel data.

use super::*;

#[test]
fn kernel_param() {
    let node = plain()
        .file("proc/sys/net/core/somaxconn", "4096\n")
        .file("proc/sys/net/ipv4/conf/eth0.100/forwarding", "1\n")
        .file("proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n")
        .file("proc/sys/kernel/two", "a\nb");
    table(
        &node,
        &[
            (
                "kernel-param: {net.core.somaxconn: {value: '4096'}}",
                "holds",
            ),
            (
                "kernel-param: {net.core.somaxconn: {value: {ge: 1024}}}",
                "holds",
            ),
            (
                "kernel-param: {x: {name: net.core.somaxconn, value: 4096}}",
                "holds",
            ),
            (
                "kernel-param: {net.core.somaxconn: {value: {gt: 5000}}}",
                r#"value: expected > 5000, found "4096""#,
            ),
            (
                "kernel-param: {net/ipv4/conf/eth0.100/forwarding: {value: 1}}",
                "holds",
            ),
            (
                "kernel-param: {net.ipv4.tcp_rmem: {value: \"4096\\t131072\\t6291456\"}}",
                "holds",
            ),
            ("kernel_param: {kernel.two: {value: \"a\\nb\"}}", "holds"),
            (
                "kernel-param: {net.core.none: {value: 1}}",
                "value: expected 1, found nothing: the kernel has no such parameter",
            ),
            (
                "kernel-param: {net.core: {value: 1}}",
                "value: expected 1, found nothing: it is a group of parameters",
            ),
            (
                "kernel-param: {../etc/passwd: {value: 1}}",
                "cannot look: `../etc/passwd` is not a valid name for a parameter",
            ),
        ],
    );
    table(
        &plain(),
        &[(
            "kernel-param: {a.b: {value: 1}}",
            "cannot look: no `/proc/sys`",
        )],
    );
}

/// Real kernel files, not stand-ins: they may have to be read at once.
#[test]
fn a_kernel_param_is_read_whole() {
    let node = plain();
    std::os::unix::fs::symlink("/proc", node.root().join("proc")).unwrap();
    let mut several = 0;
    for name in [
        "kernel.pid_max",
        "kernel.ostype",
        "net.ipv4.ip_local_port_range",
    ] {
        let path = Path::new("/proc/sys").join(name.replace('.', "/"));
        let Ok(value) = std::fs::read_to_string(path) else {
            continue;
        };
        let value = value.trim_end().replace('\t', "\\t");
        several += usize::from(value.len() > 1);
        let check = format!("kernel-param: {{{name}: {{value: \"{value}\"}}}}");
        table(&node, &[(&check, "holds")]);
    }
    assert!(several > 0, "there is nothing to read");
}

#[test]
fn mount() {
    let mountinfo = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n\
        30 22 0:5 / /tmp rw - tmpfs first rw\n\
        31 22 0:5 / /tmp ro,nosuid - tmpfs tmpfs rw,size=10k\n\
        32 22 0:6 / /mnt/a\\040b rw - fuse.x y rw\n";
    let node = plain().file("proc/self/mountinfo", mountinfo).stub(
        "stat",
        "case $* in *' /') echo '1000 250 100 90' ;; *) echo '0 0 0 0' ;; esac",
    );
    table(
        &node,
        &[
            (
                "mount: {/: {opts: [rw, relatime], vfs-opts: [errors=remount-ro], source: /dev/sda1, filesystem: ext4, usage: 75, inodes: {le: 10}}}",
                "holds",
            ),
            (
                "mount: {/tmp: {source: tmpfs, opts: {consist-of: [ro, nosuid]}, usage: 0}}",
                "holds",
            ),
            ("mount: {'/mnt/a b': {filesystem: fuse.x}}", "holds"),
            (
                "mount: {/: {usage: {lt: 70}}}",
                "usage: expected < 70, found 75",
            ),
            ("mount: {/mnt: {}}", "exists: expected true, found false"),
            ("mount: {/rw: {exists: false, opts: [rw]}}", "holds"),
        ],
    );
    let df = Node::new()
        .tools(&["cat"])
        .file("proc/self/mountinfo", mountinfo)
        .stub("stat", "exit 1")
        .stub("df", "echo 'Filesystem 1024-blocks Used Available Capacity Mounted on'; echo '/dev/sda1 1000 751 200 80% /'");
    table(&df, &[("mount: {/: {usage: 75}}", "holds")]);
    table(
        &plain(),
        &[(
            "mount: {/: {exists: false}}",
            "cannot look: no readable `/proc/self/mountinfo`",
        )],
    );
}

/// In the kernel's format: id, parent id, …
#[test]
fn a_mount_that_cannot_be_seen_is_not_there() {
    let mountinfo = "22 1 8:1 / / rw - ext4 root rw\n\
        40 22 0:5 / /srv/deep rw - ext4 covered rw\n\
        41 22 0:6 / /srv rw - tmpfs cover rw\n\
        42 41 0:7 / /srv/new rw - ext4 new rw\n\
        43 42 0:8 / /srv/new ro - ext4 newer rw\n\
        44 43 0:9 / /srv/new/in rw - ext4 in rw\n\
        45 22 0:9 / /auto rw - autofs systemd-1 rw\n\
        46 22 0:9 / /srvother rw - ext4 other rw\n";
    let node = plain().file("proc/self/mountinfo", mountinfo);
    table(
        &node,
        &[
            (
                "mount: {/srv/deep: {}}",
                "exists: expected true, found false: something else is mounted over it",
            ),
            ("mount: {/srv: {source: cover}}", "holds"),
            ("mount: {/srv/: {source: cover}}", "holds"),
            ("mount: {/srv/new: {source: newer, opts: [ro]}}", "holds"),
            ("mount: {/srv/new/in: {source: in}}", "holds"),
            ("mount: {/srvother: {source: other}}", "holds"),
            ("mount: {/srv/none: {exists: false}}", "holds"),
            (
                "mount: {/auto: {exists: true}}",
                r#"exists: expected true, found "an automount that mounts nothing""#,
            ),
            (
                "mount: {/auto: {exists: false}}",
                r#"exists: expected false, found "an automount that mounts nothing""#,
            ),
        ],
    );
}

#[test]
fn interface() {
    let node = plain()
        .file("sys/class/net/eth0/mtu", "1500\n")
        .file("sys/class/net/eth0/flags", "0x1003\n")
        .file("sys/class/net/eth1/mtu", "9000\n")
        .file("sys/class/net/eth1/flags", "0x1002\n");
    table_without(
        &node,
        &[(
            "interface: {eth0: {addrs: [10.0.0.1/8]}}",
            "cannot look: no `ip`",
        )],
    );
    let node = node.stub(
        "ip",
        r"case $* in *eth1*) exit 0 ;; esac
echo '2: eth0    inet 172.17.0.2/16 brd 172.17.255.255 scope global eth0'
echo '2: eth0    inet 10.0.0.1 peer 10.0.0.2/32 scope global eth0'
echo '2: eth0    inet6 fe80::42/64 scope link'",
    );
    table(
        &node,
        &[
            (
                "interface: {eth0: {exists: true, mtu: 1500, up: true, addrs: {consist-of: [172.17.0.2/16, 10.0.0.1/32, 'fe80::42/64']}}}",
                "holds",
            ),
            (
                "interface: {eth0: {addrs: {contain-element: {have-prefix: '172.'}}}}",
                "holds",
            ),
            (
                "interface: {eth0: {mtu: 9000}}",
                "mtu: expected 9000, found 1500",
            ),
            (
                "interface: {eth1: {up: false, addrs: {consist-of: []}}}",
                "holds",
            ),
            (
                "interface: {eth2: {}}",
                "exists: expected true, found false",
            ),
            ("interface: {eth2: {exists: false}}", "holds"),
        ],
    );
    table(
        &plain(),
        &[(
            "interface: {eth0: {exists: false}}",
            "cannot look: no `/sys/class/net`",
        )],
    );
}
