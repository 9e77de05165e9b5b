//! Selects tests: filters, exact names, skips, ignored tests, partitions. Pure.

use std::str::FromStr;

use crate::Test;

/// The selection of libtest's arguments, and a partition.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// A test must match one of them; all tests match an empty list.
    pub filters: Vec<String>,
    /// Leave out tests whose names contain one of these.
    pub skip: Vec<String>,
    /// Filters and skips are full names.
    pub exact: bool,
    /// How to treat ignored tests.
    pub ignored: Ignored,
    /// Evaluate only this part of the selected tests.
    pub partition: Option<Partition>,
}

/// How ignored tests are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ignored {
    /// Selected, but not evaluated.
    #[default]
    Not,
    /// Evaluated as well.
    Too,
    /// Only ignored tests are evaluated.
    Only,
}

/// `hash:1/4` or `count:1/4`: one of several parts that together contain every test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    by: By,
    /// From 1.
    part: u64,
    of: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// A test stays in its part when other tests are added or removed.
    Hash,
    /// The sizes of the parts differ by one test at most.
    Count,
}

/// The result of a selection.
#[derive(Debug)]
pub struct Selected {
    /// The tests to evaluate, in order.
    pub tests: Vec<Test>,
    /// The other tests.
    pub left_out: Vec<Test>,
    /// There were tests before the partition, and none is in this part.
    pub emptied: bool,
}

impl Selection {
    /// Splits tests into those to evaluate and the others.
    #[must_use]
    pub fn select(&self, tests: Vec<Test>) -> Selected {
        let tests = tests.into_iter().map(|test| self.called_by_name(test));
        let (mut tests, mut left_out): (Vec<Test>, Vec<Test>) =
            tests.partition(|test| self.takes(test));
        let before = tests.len();
        if let Some(partition) = self.partition {
            let mut number = 0;
            let (own, others) = tests.into_iter().partition(|test| {
                number += 1;
                partition.takes(number - 1, &test.name())
            });
            tests = own;
            left_out.extend::<Vec<Test>>(others);
        }
        Selected {
            left_out,
            emptied: before > 0 && tests.is_empty(),
            tests,
        }
    }

    /// Whether to evaluate ignored tests.
    #[must_use]
    pub fn asks_ignored(&self) -> bool {
        self.ignored != Ignored::Not
    }

    fn takes(&self, test: &Test) -> bool {
        let wanted =
            self.filters.is_empty() || self.filters.iter().any(|filter| self.is(test, filter));
        let skipped = self.skip.iter().any(|skip| self.is(test, skip));
        let meant = match self.ignored {
            Ignored::Not => true,
            Ignored::Too => test.ignored.is_none() || !test.by_name_only,
            Ignored::Only => test.ignored.is_some() && !test.by_name_only,
        };
        wanted && !skipped && meant
    }

    /// A test that needs its full name is not ignored if the selection names it.
    fn called_by_name(&self, test: Test) -> Test {
        let group = test.check.split("::").next().unwrap_or_default();
        let called = |filter: &String| {
            filter.trim_end_matches("::") == group
                || *filter == test.check
                || *filter == test.name()
                || *filter == test.listed()
        };
        if test.by_name_only && self.filters.iter().any(called) {
            return Test {
                ignored: None,
                ..test
            };
        }
        test
    }

    /// Also matches the name that `--list` prints.
    fn is(&self, test: &Test, filter: &str) -> bool {
        let listed = test.listed();
        if self.exact {
            test.name() == filter || listed == filter
        } else {
            listed.contains(filter)
        }
    }
}

impl Partition {
    fn takes(self, number: u64, name: &str) -> bool {
        let number = match self.by {
            By::Hash => hash(name),
            By::Count => number,
        };
        number % self.of == self.part - 1
    }
}

/// FNV-1a: the same on every machine and in every version.
fn hash(name: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    // The low bits alone depend only on the low bits of the bytes.
    hash ^ (hash >> 32)
}

impl FromStr for Partition {
    type Err = String;

    fn from_str(text: &str) -> Result<Partition, String> {
        let wrong = || format!("`{text}` is not a partition such as `hash:1/4` or `count:1/4`");
        let (by, rest) = text.split_once(':').ok_or_else(wrong)?;
        let (part, of) = rest.split_once('/').ok_or_else(wrong)?;
        let by = match by {
            "hash" => By::Hash,
            "count" | "slice" => By::Count,
            _ => return Err(wrong()),
        };
        let part = part.parse().map_err(|_| wrong())?;
        let of = of.parse().map_err(|_| wrong())?;
        if part < 1 || part > of {
            return Err(format!("`{text}`: parts are counted from 1 to {of}"));
        }
        Ok(Partition { by, part, of })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_the_same_for_ever() {
        let part = |name: &str| {
            (1..=4).find(|part| {
                let partition: Partition = format!("hash:{part}/4").parse().unwrap();
                partition.takes(0, name)
            })
        };
        let names = [
            "web1::web::service/nginx",
            "web1::web::port/tcp:443",
            "web2::web::service/nginx",
            "db::db::a",
        ];
        assert_eq!(names.map(part), [Some(4), Some(1), Some(1), Some(2)]);
    }

    #[test]
    fn what_is_no_partition_is_refused() {
        for (text, why) in [
            (
                "hash",
                "`hash` is not a partition such as `hash:1/4` or `count:1/4`",
            ),
            (
                "hash:1",
                "`hash:1` is not a partition such as `hash:1/4` or `count:1/4`",
            ),
            (
                "odd:1/2",
                "`odd:1/2` is not a partition such as `hash:1/4` or `count:1/4`",
            ),
            ("count:0/4", "`count:0/4`: parts are counted from 1 to 4"),
            ("count:5/4", "`count:5/4`: parts are counted from 1 to 4"),
            ("count:1/0", "`count:1/0`: parts are counted from 1 to 0"),
        ] {
            assert_eq!(text.parse::<Partition>().unwrap_err(), why);
        }
    }
}
