//! Probes of timers, failed units and the clock, which `systemctl` and its kind tell.

use super::*;

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
