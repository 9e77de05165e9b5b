//! Probes that ask the system's own tools, which stubs stand for here.

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
                "cannot look: `../etc/passwd` is no name of a parameter",
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

/// What the kernel itself gives, and not a file that stands for it: it may be had by one read.
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
fn matching() {
    table(
        &plain(),
        &[
            ("matching: {a: {content: foo, matches: foo}}", "holds"),
            (
                "matching: {a: {content: [a, b, c], matches: [a, b]}}",
                "holds",
            ),
            (
                "matching: {a: {content: [a, b], matches: [a, b, b]}}",
                r#"matches: expected containing ["a", "b", "b"], found ["a", "b"]"#,
            ),
            (
                "matching: {a: {content: {foo: bar, baz: 1}, matches: {and: [{have-key: baz}]}}}",
                "holds",
            ),
            (
                "matching: {a: {content: \"x\\nfoo y\", as-reader: true, matches: [foo, '!bar']}}",
                "holds",
            ),
            (
                "matching: {a: {content: \"x\\nfoo y\", as-reader: true, matches: [bar]}}",
                r#"matches: expected lines with ["bar"], found "x\nfoo y""#,
            ),
        ],
    );
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

#[test]
fn package() {
    let debian = plain().file("etc/debian_version", "12\n").stub(
        "dpkg-query",
        r#"for name; do :; done
case $name in
nginx) echo 'install ok installed 1.24.0-2' ;;
libc6) echo 'hold ok installed 2.36'; echo 'install ok installed 2.35' ;;
gone) echo 'deinstall ok config-files 1.0' ;;
broken) echo 'dpkg-query: error: cannot read' >&2; exit 2 ;;
*) echo "dpkg-query: no packages found matching $name" >&2; exit 1 ;;
esac"#,
    );
    table(
        &debian,
        &[
            (
                "package: {nginx: {installed: true, versions: [1.24.0-2]}}",
                "holds",
            ),
            (
                "package: {libc6: {versions: {consist-of: ['2.36', '2.35']}}}",
                "holds",
            ),
            ("package: {gone: {installed: false}}", "holds"),
            (
                "package: {apache2: {}}",
                "installed: expected true, found false",
            ),
            (
                "package: {nginx: {versions: ['1.25']}}",
                r#"versions: expected containing ["1.25"], found ["1.24.0-2"]"#,
            ),
            (
                "package: {broken: {installed: false}}",
                "cannot look: dpkg-query: error: cannot read",
            ),
        ],
    );
    let redhat = plain().file("etc/redhat-release", "9\n").stub(
        "rpm",
        r#"for name; do :; done
case $name in
nginx) echo '1:1.20.1-14.el9' ;;
db) echo 'error: cannot open Packages database'; exit 1 ;;
*) echo "package $name is not installed"; exit 1 ;;
esac"#,
    );
    table(
        &redhat,
        &[
            ("package: {nginx: {versions: ['1:1.20.1-14.el9']}}", "holds"),
            ("package: {httpd: {installed: false}}", "holds"),
            (
                "package: {db: {installed: false}}",
                "cannot look: error: cannot open Packages database",
            ),
        ],
    );
}

#[test]
fn package_of_other_systems() {
    let alpine = plain()
        .file("etc/alpine-release", "3.20\n")
        .file("lib/apk/db/installed", "")
        .stub(
            "apk",
            r"case $* in
'info -e nginx') echo nginx ;;
'version nginx') printf 'Installed:    Available:\nnginx-1.26.1-r0   = 1.26.1-r0\n' ;;
*) exit 1 ;;
esac",
        );
    table(
        &alpine,
        &[
            ("package: {nginx: {versions: [1.26.1-r0]}}", "holds"),
            ("package: {curl: {installed: false}}", "holds"),
        ],
    );
    let arch = plain().file("etc/arch-release", "").stub(
        "pacman",
        r#"case $2 in nginx) echo 'nginx 1.26.1-1' ;; *) echo "error: package '$2' was not found"; exit 1 ;; esac"#,
    );
    table(
        &arch,
        &[
            ("package: {nginx: {versions: [1.26.1-1]}}", "holds"),
            ("package: {curl: {installed: false}}", "holds"),
        ],
    );
    table_without(
        &plain(),
        &[
            (
                "package: {nginx: {installed: false}}",
                "cannot look: no `dpkg-query`, `rpm`, `apk` or `pacman`",
            ),
            (
                "package: {nginx: {manager: rpm, installed: false}}",
                "cannot look: no `rpm`",
            ),
            (
                "package: {-x: {installed: false}}",
                "cannot look: `-x` is no name of a package",
            ),
        ],
    );
}

#[test]
fn timer_and_failed_units() {
    let node = plain().file("run/systemd/system/x", "").tools(&["date"]).stub(
        "systemctl",
        r#"case $* in
*list-units*shop*) printf 'shop-web.service loaded failed failed Shop\nshop-db.service loaded failed failed Shop\n' ;;
*list-units*) ;;
*LastTriggerUSec*backup*) echo "LastTriggerUSec=@$(($(date +%s) - 100))" ;;
*LastTriggerUSec*) echo 'LastTriggerUSec=' ;;
*Result*job.service*) echo 'Result=exit-code' ;;
*Result*) echo 'Result=success' ;;
*backup*) printf 'LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nUnit=job.service\n' ;;
*idle*) printf 'LoadState=loaded\nActiveState=inactive\nUnitFileState=disabled\nUnit=idle.service\n' ;;
*) printf 'LoadState=not-found\nActiveState=inactive\n' ;;
esac"#,
    );
    table(
        &node,
        &[
            (
                "timer: {backup: {enabled: true, running: true, result: exit-code, age: {and: [{ge: 100}, {lt: 200}]}}}",
                "holds",
            ),
            ("timer: {backup.timer: {running: true}}", "holds"),
            (
                "timer: {idle: {enabled: true, result: success}}",
                "enabled: expected true, found false",
            ),
            (
                "timer: {idle: {age: {lt: 9}}}",
                "age: expected < 9, found nothing: it has never gone off",
            ),
            ("timer: {none: {}}", "exists: expected true, found false"),
            ("failed-units: {all: {}}", "holds"),
            ("failed-units: {'shop-*': {}}", "count: expected 0, found 2"),
            (
                "failed-units: {'shop-*': {count: 2, units: {contain-element: shop-db.service}}}",
                "holds",
            ),
        ],
    );
    table(
        &plain(),
        &[
            (
                "timer: {x: {exists: false}}",
                "cannot look: systemd does not run here",
            ),
            (
                "failed-units: {all: {}}",
                "cannot look: systemd does not run here",
            ),
        ],
    );
}

#[test]
fn reboot_required() {
    let debian = plain()
        .file("run/reboot-required", "*** System restart required ***\n")
        .file("run/reboot-required.pkgs", "linux-image\nlibc6\n");
    table(
        &debian,
        &[
            (
                "reboot-required: {node: {}}",
                "required: expected false, found true",
            ),
            (
                "reboot-required: {node: {required: true, packages: [libc6]}}",
                "holds",
            ),
        ],
    );
    let calm = plain().file("etc/debian_version", "12\n");
    table(&calm, &[("reboot-required: {node: {}}", "holds")]);
    let redhat = plain()
        .file("etc/redhat-release", "")
        .stub("needs-restarting", "echo 'Core libraries or services have been updated:'; echo '  * kernel'; echo 'Reboot is required'; exit 1");
    table(
        &redhat,
        &[(
            "reboot-required: {node: {required: true, packages: [kernel]}}",
            "holds",
        )],
    );
    let broken = plain().file("etc/redhat-release", "").stub(
        "needs-restarting",
        "echo 'cannot open the database' >&2; exit 1",
    );
    table(
        &broken,
        &[(
            "reboot-required: {node: {}}",
            "cannot look: cannot open the database",
        )],
    );
    let alpine = plain()
        .file("lib/modules/6.6.0/x", "")
        .stub("uname", "echo 6.1.0");
    table(
        &alpine,
        &[(
            "reboot-required: {node: {}}",
            "required: expected false, found true",
        )],
    );
    table(
        &plain(),
        &[(
            "reboot-required: {node: {}}",
            "cannot look: nothing on this system tells",
        )],
    );
}

#[test]
fn time_sync() {
    let chrony = plain().stub(
        "chronyc",
        "echo 'C0000201,192.0.2.1,3,1700000000.0,-0.000012,0.00001,0.0002,1.2,0.0,0.1,0.01,0.001,64.2,Normal'",
    );
    table(
        &chrony,
        &[
            (
                "time-sync: {clock: {offset: {lt: 0.1}, source: 192.0.2.1}}",
                "holds",
            ),
            (
                "time-sync: {clock: {offset: {gt: 1}}}",
                "offset: expected > 1, found 0.000012",
            ),
        ],
    );
    let ntpd = plain().stub("ntpq", "echo 'leap=11, refid=INIT, offset=-12.5'");
    table(
        &ntpd,
        &[
            (
                "time-sync: {clock: {}}",
                "synchronized: expected true, found false",
            ),
            (
                "time-sync: {clock: {synchronized: false, offset: 0.0125}}",
                "holds",
            ),
        ],
    );
    let timedatectl = plain()
        .stub("chronyc", "echo '506 Cannot talk to daemon'; exit 1")
        .stub("timedatectl", "echo NTPSynchronized=yes");
    table(
        &timedatectl,
        &[
            ("time-sync: {clock: {}}", "holds"),
            (
                "time-sync: {clock: {offset: 0}}",
                "cannot look: the probe says nothing about `offset`",
            ),
        ],
    );
    table(
        &plain(),
        &[(
            "time-sync: {clock: {synchronized: false}}",
            "cannot look: no `chronyc`, `ntpq` or `timedatectl` that answers",
        )],
    );
}

#[test]
fn sshd_config() {
    let node = plain().tools(&["tr"]).stub(
        "sshd",
        r"case $* in
-T) printf 'port 22\nport 2222\npermitrootlogin no\nsubsystem sftp internal-sftp\n' ;;
'-T -C user=ana') printf 'permitrootlogin yes\n' ;;
*) echo 'sshd: no hostkeys available -- exiting.' >&2; exit 1 ;;
esac",
    );
    table(
        &node,
        &[
            ("sshd-config: {PermitRootLogin: {value: no}}", "holds"),
            ("sshd-config: {port: {value: [22, 2222]}}", "error"),
            ("sshd-config: {port: {value: \"22\\n2222\"}}", "holds"),
            ("sshd-config: {permitrootlogin: {connection: user=ana, value: no}}", r#"value: expected "no", found "yes""#),
            ("sshd-config: {x: {connection: user=eve, value: no}}", "cannot look: sshd: sshd: no hostkeys available -- exiting."),
            ("sshd-config: {nonesuch: {value: no}}", "value: expected \"no\", found nothing: sshd knows no such option, or it is not set"),
        ].into_iter().filter(|(_, expected)| *expected != "error").collect::<Vec<_>>(),
    );
    table(
        &plain(),
        &[("sshd-config: {Port: {value: 22}}", "cannot look: no `sshd`")],
    );
}

#[test]
fn container() {
    let node = plain().stub(
        "docker",
        r#"for name; do :; done
case $name in
web) echo 'true|running|healthy|2|0|shop:1.2' ;;
old) echo 'false|exited|none|0|137|shop:1.1' ;;
denied) echo; echo 'permission denied while trying to connect to the daemon socket' >&2; exit 1 ;;
*) echo "Error: No such container: $name" >&2; exit 1 ;;
esac"#,
    );
    table(
        &node,
        &[
            (
                "container: {web: {health: healthy, restarts: {lt: 3}, image: {have-prefix: 'shop:'}}}",
                "holds",
            ),
            (
                "container: {old: {}}",
                "running: expected true, found false",
            ),
            (
                "container: {old: {running: false, status: exited, exit-status: 137}}",
                "holds",
            ),
            (
                "container: {gone: {}}",
                "exists: expected true, found false",
            ),
            ("container: {gone: {exists: false}}", "holds"),
            (
                "container: {denied: {exists: false}}",
                "cannot look: docker: permission denied while trying to connect to the daemon socket",
            ),
        ],
    );
    table(
        &plain(),
        &[
            (
                "container: {web: {exists: false}}",
                "cannot look: no `docker` or `podman`",
            ),
            (
                "container: {web: {engine: podman, exists: false}}",
                "cannot look: no `podman`",
            ),
        ],
    );
}

#[test]
fn socket() {
    let node = plain()
        .tools(&["awk"])
        .file(
            "proc/net/tcp",
            "  sl  local_address rem_address   st\n   0: 0100007F:01BB 00000000:0000 0A 0\n   1: 0100007F:01BB 0100007F:8888 01 0\n   2: 0100007F:01BB 0100007F:8889 08 0\n   3: 0100007F:8888 0100007F:01BB 01 0\n",
        )
        .file(
            "proc/net/tcp6",
            "  sl  local_address rem_address   st\n   0: 00000000000000000000000001000000:01BB 00000000000000000000000001000000:8888 01 0\n",
        )
        .file(
            "proc/net/unix",
            "Num       RefCount Protocol Flags    Type St Inode Path\n0000000000000000: 00000002 00000000 00010000 0001 01 111 /run/x.sock\n0000000000000000: 00000003 00000000 00000000 0001 03 112 /run/x.sock\n0000000000000000: 00000003 00000000 00000000 0001 03 113 /run/y.sock\n",
        );
    table(
        &node,
        &[
            (
                "socket: {tcp:443: {listening: true, established: 2, close-wait: 1, connections: 3}}",
                "holds",
            ),
            (
                "socket: {tcp:80: {listening: true}}",
                "listening: expected true, found false",
            ),
            (
                "socket: {unix:/run/x.sock: {listening: true, established: 1}}",
                "holds",
            ),
            ("socket: {unix:/run/y.sock: {listening: false}}", "holds"),
            (
                "socket: {unix:/run/z.sock: {listening: true}}",
                "listening: expected true, found false",
            ),
        ],
    );
    table(
        &plain(),
        &[
            (
                "socket: {tcp:443: {listening: false}}",
                "cannot look: no `/proc/net/tcp`",
            ),
            (
                "socket: {unix:/x: {listening: false}}",
                "cannot look: no `/proc/net/unix`",
            ),
        ],
    );
}
