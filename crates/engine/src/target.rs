//! Converts a node and a plan's script into the types of a session. A session knows neither; only
//! this file makes what it runs.

use crate::nodes::container::{self, Way};
use crate::nodes::{Node, Transport};
use crate::plan;
use crate::session::{self, Exec, Target, Tool};

/// How to reach the node.
#[must_use]
pub fn target(node: &Node) -> Target {
    match &node.transport {
        Transport::Local => Target::Local,
        Transport::Exec(words) => Target::Exec(Exec::of(words.clone())),
        Transport::Container(container) => Target::Exec(Exec {
            words: container.words(Way::Pipes),
            with_terminal: container.words(Way::Terminal),
            tool: match container.tool {
                container::Tool::Docker => Tool::Docker,
                container::Tool::Podman => Tool::Podman,
                container::Tool::Kubectl => Tool::Kubectl,
                container::Tool::Nspawn => Tool::SystemdRun,
            },
        }),
        Transport::Ssh(ssh) => Target::Ssh(session::Ssh {
            host: ssh.host.clone(),
            user: ssh.user.clone(),
            port: ssh.port,
            jump: ssh.jump.clone(),
            identity: ssh.identity.clone(),
            options: ssh.options.clone(),
            keep: ssh.keep,
            in_process: ssh.in_process,
        }),
    }
}

/// A script of the plan.
pub(super) fn script(script: &plan::Script) -> session::Script {
    session::Script::new(script.interpreter(), script.text_shared())
}
