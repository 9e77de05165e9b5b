//! Results of real runs, stored in `tests/recorded/` for the manual: the tests of the fault table,
//! and the random loop. Written by `just record` and `just soak`, never edited.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// When and where something ran.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The day, UTC.
    pub date: String,
    /// The tested commit.
    pub revision: String,
    /// Kernel and cores.
    pub machine: String,
}

/// The last recorded run of the tests.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Suite {
    #[serde(flatten)]
    pub origin: Origin,
    /// Whether each test passed, by the name of its function.
    pub passed: BTreeMap<String, bool>,
}

/// The last recorded loop of random procedures and faults.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Loop {
    #[serde(flatten)]
    pub origin: Origin,
    pub nodes: String,
    pub minutes: u64,
    pub rounds: usize,
    pub controllers: usize,
    pub faults: usize,
    /// Steps whose run said that it does not know their result.
    pub unknown: usize,
    /// The seeds of rounds that broke the promise.
    pub broken: Vec<u64>,
}

impl Origin {
    pub fn now() -> Origin {
        let uname = rustix::system::uname();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        Origin {
            date: said(&["date", "-u", "+%Y-%m-%d"]),
            revision: said(&["git", "rev-parse", "--short", "HEAD"]),
            machine: format!("Linux {}, {cores} cores", uname.release().to_string_lossy()),
        }
    }
}

fn said(command: &[&str]) -> String {
    let output = Command::new(command[0])
        .args(&command[1..])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

impl Suite {
    /// From nextest's report.
    pub fn from_junit(xml: &str, origin: Origin) -> Suite {
        let report = quick_junit::Report::deserialize_from_str(xml).unwrap();
        let mut passed = BTreeMap::new();
        for case in report
            .test_suites
            .iter()
            .flat_map(|suite| &suite.test_cases)
        {
            let name = case.name.as_str().rsplit("::").next().unwrap_or_default();
            let ok = matches!(case.status, quick_junit::TestCaseStatus::Success { .. });
            *passed.entry(name.to_owned()).or_insert(true) &= ok;
        }
        Suite { origin, passed }
    }
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/recorded/{name}.yaml"))
}

/// `None` if nothing was recorded.
pub fn read<T: DeserializeOwned>(name: &str) -> Option<T> {
    let text = fs::read_to_string(path(name)).ok()?;
    Some(serde_yaml::from_str(&text).unwrap())
}

pub fn write(name: &str, record: &impl Serialize) {
    let path = path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, serde_yaml::to_string(record).unwrap()).unwrap();
}

#[test]
fn a_report_is_read_by_names_of_functions() {
    let xml = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="n" tests="3" failures="1" errors="0">
  <testsuite name="opsbook::it" tests="3" disabled="0" errors="0" failures="1">
    <testcase name="faults::a" classname="opsbook::it" time="1.0"></testcase>
    <testcase name="other::b" classname="opsbook::it" time="1.0"></testcase>
    <testcase name="faults::b" classname="opsbook::it" time="1.0">
      <failure type="test failure"/>
    </testcase>
  </testsuite>
</testsuites>"#;
    let suite = Suite::from_junit(xml, Origin::default());
    let expected = [("a".to_owned(), true), ("b".to_owned(), false)];
    assert_eq!(suite.passed, BTreeMap::from(expected));
}
