//! Every drawn error, and malicious files.

use super::*;

/// Files that the parser refuses.
const REFUSED_FILES: [&str; 12] = [
    "opsbook: 1\nnodes:\n  a: {groups: [wbe]}\ngroups: {web: {}, db: {in: wep}}\n",
    "opsbook: 2\nnodse: {}\n",
    "nodes: {a: }\n",
    "- a\n",
    "opsbook: 1\nnodes: [a]\ngroups: 5\ndefaults: x\n",
    "opsbook: 1\nnodes: {a: 5, b: [x], 'a b': {}, -x: {}, '': {}}\n",
    "opsbook: 1\ngroups:\n  a: {in: [b]}\n  b: {in: [c]}\n  c: {in: a}\n  d: {in: d}\n",
    "opsbook: 1\ndefaults: {groups: [x], in: y}\ngroups: {g: {groups: [g]}}\nnodes: {n: {in: [g]}}\n",
    "opsbook: 1\nnodes:\n  a: {transport: loacl}\n  b: {transport: telnet}\n  c: {transport: exec}\n  d: {transport: {exec: sh}}\n  e: {transport: {exec: []}}\n  f: {transport: {exce: [sh]}}\n  g: {transport: [ssh]}\n",
    "opsbook: 1\nnodes:\n  a: {transport: dokcer}\n  b: {transport: {docker: box}}\n  c: {transport: {docker: {name: box}}}\n  d: {transport: {podman: {container: -v}}}\n  e: {transport: {kubectl: {pod: '', namespace: a}}}\n  f: {transport: {nspawn: {machine: 'a b'}, docker: {}}}\n  g: {transport: {nspawn: {machine: m, user: [x]}}}\n",
    "opsbook: 1\nnodes:\n  a: {App-Port: 1, node: x, run_id: 5, trasport: local, 9x: 1}\n",
    "opsbook: 1\ngroups: {g: {}}\nnodes: {a: {groups: [g, g]}, b: {groups: {g: 1}}, c: {groups: [[g]]}}\n",
];

/// Nodes that the evaluation refuses, each with an optional argument.
const REFUSED_NODES: [(&str, &str); 24] = [
    ("a: {x: '${y}', y: '${z}', z: '${x}'}", ""),
    ("a: {x: '${x}'}", ""),
    ("a: {x: '${Foo} ${y'}", ""),
    (
        "a: {x: '${l} ${m} ${s}', l: [1], m: {k: v}, s: {secret: {env: X}}}",
        "",
    ),
    ("a: {address: '${nope}'}", ""),
    ("a: {prot: 1, address: '${port}'}", ""),
    ("a: {address: '${run_id}'}", ""),
    ("a: {port: http}", ""),
    ("a: {port: 0}", ""),
    ("a: {keep_connection: 60}", ""),
    ("a: {keep_connection: 2h}", ""),
    ("a: {keep_connection: 2m, transport: russh}", ""),
    ("a: {address: -oProxyCommand=x, user: 'a b', jump: [x]}", ""),
    ("a: {rehearse: yes, confirm: maybe, bundle_dir: ''}", ""),
    ("a: {ssh_options: [ServerAliveInterval=5, '-x', 'A']}", ""),
    ("a: {m: {k: 1}, m_k: 2}", ""),
    (
        "a: {s: {secret: {env: X}, user: y}, t: {secret: {evn: X}}, u: {secret: {}}, v: {secret: {command: pass x}}, w: {secret: {file: ''}}}",
        "",
    ),
    ("a: {l: [{secret: {env: X}}]}", ""),
    ("a: {port: 1}", "port=x"),
    ("a: {port: 1}", "node=x"),
    ("a: {port: 1}", "Port=x"),
    ("a: {p: {secret: {env: X}}}", "p=canary-5a1e"),
    ("a: {p: {q: {secret: {env: X}}}}", "p_q=canary-5a1e"),
    ("b: {}", ""),
];

#[test]
fn what_is_refused_is_drawn() {
    let mut found = String::new();
    for text in REFUSED_FILES {
        found.extend([text, "\n", &nodes(&[text]).1, "\n\n----\n"]);
    }
    for (text, set) in REFUSED_NODES {
        let text = format!("opsbook: 1\nnodes:\n  {text}\n");
        let (nodes, problems) = nodes(&[&text]);
        let set: Vec<_> = set
            .split_once('=')
            .into_iter()
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .collect();
        let refused = nodes.evaluate("a", &set).expect_err(&text);
        found.extend([&text, "\n", &problems, &drawn(&refused), "\n\n----\n"]);
    }
    assert!(!found.contains("canary"));
    exactly("nodes/refused.txt", &found);
}

#[test]
fn bombs_are_refused_in_little_time() {
    let mut laughs = vec!["x0: 'ha ha ha ha ha ha ha ha ha ha'".to_owned()];
    laughs.extend(
        (1..=30).map(|level| format!("x{level}: '${{x{0}}}${{x{0}}}${{x{0}}}'", level - 1)),
    );
    let chain: Vec<_> = (0..10_000)
        .map(|level| format!("x{level}: '${{x{}}}'", level + 1))
        .collect();
    let groups: Vec<_> = (0..1000)
        .map(|level| format!("g{level}: {{in: [g{}]}}", level + 1))
        .collect();
    let refused = |values: &str| {
        let (nodes, _) = nodes(&[&format!("opsbook: 1\nnodes:\n  n: {{{values}}}\n")]);
        nodes.evaluate("n", &[]).unwrap_err().swap_remove(0).code
    };
    assert_eq!(refused(&laughs.join(", ")), "value-too-large");
    assert_eq!(refused(&chain.join(", ")), "chain-too-long");
    let many = format!("opsbook: 1\ndefaults: {{l: [{}]}}\n", "1,".repeat(250_000));
    assert_eq!(
        nodes(&[&many, &many, &many]).1,
        "error: the files of nodes hold more than 400000 values"
    );
    let (_, problems) = nodes(&[&format!(
        "opsbook: 1\ngroups: {{{}, g1000: {{}}}}\n",
        groups.join(", ")
    )]);
    assert!(
        problems.contains("groups are nested deeper than 32 levels"),
        "{problems}"
    );
}
