//! A step that runs on several nodes in parallel, and its checks that run once after all nodes have
//! ended.

use tokio::sync::watch;

use crate::plan::Case;

/// One node's part in such a step. Dropping it counts as an end that is not OK.
#[derive(Debug)]
pub struct Joint<'a> {
    all: watch::Sender<Ended>,
    machines: usize,
    /// Checks for this node to evaluate if all nodes ended well.
    pub cases: &'a [Case],
    counted: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ended {
    well: usize,
    badly: usize,
}

impl<'a> Joint<'a> {
    /// The parts for this many nodes; the first gets the checks.
    pub fn parts(machines: usize, cases: &'a [Case]) -> Vec<Joint<'a>> {
        let all = watch::Sender::new(Ended::default());
        let part = |index| Joint {
            all: all.clone(),
            machines,
            cases: if index == 0 { cases } else { &[] },
            counted: false,
        };
        (0..machines).map(part).collect()
    }

    /// Reports how the step ended here, and waits for the others. Returns true if all ended well.
    pub async fn meet(&mut self, well: bool) -> bool {
        self.count(well);
        let mut ended = self.all.subscribe();
        let all = |ended: &Ended| ended.well + ended.badly >= self.machines;
        // This value holds its sender, so the channel stays open.
        let ended = ended.wait_for(all).await;
        ended.is_ok_and(|ended| ended.badly == 0)
    }

    fn count(&mut self, well: bool) {
        if std::mem::replace(&mut self.counted, true) {
            return;
        }
        self.all.send_modify(|ended| {
            if well {
                ended.well += 1;
            } else {
                ended.badly += 1;
            }
        });
    }
}

impl Drop for Joint<'_> {
    fn drop(&mut self) {
        self.count(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_gone_is_not_waited_for() {
        let mut parts = Joint::parts(3, &[]);
        drop(parts.pop());
        let (mut one, mut two) = (parts.remove(0), parts.remove(0));
        assert_eq!(tokio::join!(one.meet(true), two.meet(true)), (false, false));
    }

    #[tokio::test]
    async fn all_that_ended_well_know_it() {
        let mut parts = Joint::parts(2, &[]);
        let (mut one, mut two) = (parts.remove(0), parts.remove(0));
        assert_eq!(tokio::join!(one.meet(true), two.meet(true)), (true, true));
    }
}
