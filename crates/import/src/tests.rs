//! Each importer with files of its tool: the output, and what is reported as left out.

use super::*;

fn left(imported: &Imported) -> Vec<String> {
    let left = imported.left.iter();
    left.map(|left| format!("{} {}", left.place, left.what))
        .collect()
}

const INI: &str = "\
# a comment
bastion ansible_host=203.0.113.9 ansible_user=jump
[web]
web[01:02].example.net http_port=8080
web04 ansible_host=10.0.0.14 ansible_port=2222 ansible_ssh_private_key_file=~/.ssh/deploy
[db]
db1 data_dir='/srv/my pg' ansible_ssh_common_args='-o ProxyJump=bastion -o Foo=bar'
box:2200
[prod:children]
web
db
[web:vars]
App-Port=8000
maxConn=05
greeting={{ inventory_hostname }} on {{ app_port }} ${x}
bad={{ a | b }}
[all:vars]
ansible_user=ops
db_password=hunter2
address=x
[local]
localhost ansible_connection=local
";

#[test]
fn an_inventory_as_ini() {
    let imported = nodes(Format::Ansible, "hosts", INI).unwrap();
    assert_eq!(
        imported.text,
        r#"# From Ansible's `hosts`, by `opsbook import nodes ansible`.
opsbook: 1
defaults: {user: ops, db_password: {secret: {prompt: db_password}}}
groups:
  web: {in: [prod], app_port: 8000, max_conn: "05", greeting: "${node} on ${app_port} $${x}"}
  db: {in: [prod]}
  prod: {}
  local: {}
nodes:
  bastion: {address: "203.0.113.9", user: jump}
  web01.example.net: {groups: [web], http_port: 8080}
  web02.example.net: {groups: [web], http_port: 8080}
  web04: {groups: [web], address: "10.0.0.14", port: 2222, identity: "~/.ssh/deploy"}
  db1: {groups: [db], data_dir: "/srv/my pg", jump: bastion}
  box: {groups: [db], port: 2200}
  localhost: {groups: [local], transport: local}
"#
    );
    assert_eq!(
        left(&imported),
        [
            "hosts:7 `ansible_ssh_common_args`: `-o Foo=bar` belongs into your ssh configuration, or `ssh_options`",
            "hosts:16 `bad`: `{{ a | b }}` is more than a name",
            "hosts:19 `db_password` is a secret: say where it is kept",
            "hosts:20 `address`: `address` means something else to opsbook",
        ]
    );
    assert!(!imported.text.contains("hunter2"));
}

#[test]
fn an_inventory_as_yaml_and_as_ansible_lists_it() {
    let yaml = "all:\n  vars:\n    key: !vault |\n      $ANSIBLE_VAULT;1.1;AES256\n      6162\n  children:\n    prod:\n      children:\n        web:\n          vars: {port_list: [1, 2], tls: {on: true}}\n          hosts:\n            web[1:2]:\n            web9: {ansible_host: 10.0.0.9}\n";
    let imported = nodes(Format::Ansible, "hosts.yml", yaml).unwrap();
    assert!(
        imported.text.ends_with(
            "defaults: {key: {secret: {prompt: key}}}\ngroups:\n  prod: {}\n  web: {in: [prod], port_list: [1, 2], tls: {on: true}}\nnodes:\n  web1: {groups: [web]}\n  web2: {groups: [web]}\n  web9: {groups: [web], address: \"10.0.0.9\"}\n"
        ),
        "{}",
        imported.text
    );
    assert_eq!(
        left(&imported),
        ["hosts.yml:3 `key` is a secret: say where it is kept"]
    );
    let json = r#"{"_meta": {"hostvars": {"web1": {"app_port": 8000}}}, "all": {"children": ["ungrouped", "prod"]}, "prod": {"children": ["web"]}, "web": {"hosts": ["web1", "web2"], "vars": {"a": "b"}}}"#;
    let imported = nodes(Format::Ansible, "-", json).unwrap();
    assert!(
        imported.text.ends_with(
            "groups:\n  prod: {}\n  web: {in: [prod], a: b}\nnodes:\n  web1: {groups: [web], app_port: 8000}\n  web2: {groups: [web]}\n"
        ),
        "{}",
        imported.text
    );
}

#[test]
fn names_of_an_ssh_configuration() {
    let text =
        "Include ~/x\nHost web1 web2 *.example !no\n  HostName 10.0.0.1\nhost=db1\nMatch user x\n";
    let imported = nodes(Format::SshConfig, "config", text).unwrap();
    assert!(
        imported
            .text
            .ends_with("nodes:\n  web1: {}\n  web2: {}\n  db1: {}\n"),
        "{}",
        imported.text
    );
    assert_eq!(
        left(&imported),
        [
            "config:1 `~/x` is not read: import it by itself",
            "config:5 `Match` names no machine"
        ]
    );
}

#[test]
fn what_terraform_knows() {
    let output = r#"{"web_ips": {"value": ["10.0.0.1", "10.0.0.2"]}, "db_address": {"value": "db.example.net"}, "by_name": {"value": {"a": "10.1.0.1"}}, "token": {"sensitive": true, "value": "x"}, "count": {"value": 3}}"#;
    let imported = nodes(Format::Terraform, "o", output).unwrap();
    assert!(
        imported.text.ends_with(
            "groups:\n  web: {}\n  db: {}\n  by-name: {}\nnodes:\n  web1: {groups: [web], address: \"10.0.0.1\"}\n  web2: {groups: [web], address: \"10.0.0.2\"}\n  db: {groups: [db], address: db.example.net}\n  a: {groups: [by-name], address: \"10.1.0.1\"}\n"
        ),
        "{}",
        imported.text
    );
    assert_eq!(imported.left.len(), 2, "{:?}", imported.left);
    let state = r#"{"version": 4, "resources": [{"mode": "managed", "type": "aws_instance", "name": "web", "instances": [{"index_key": 0, "attributes": {"public_ip": "", "private_ip": "10.0.0.1", "tags": {"Name": "web-a"}}}, {"index_key": 1, "attributes": {"public_ip": "198.51.100.2"}}]}, {"mode": "managed", "type": "aws_eip", "name": "x", "instances": [{"attributes": {"public_ip": "198.51.100.9"}}]}, {"mode": "managed", "type": "google_compute_instance", "name": "g", "instances": [{"attributes": {"name": "g1", "network_interface": [{"network_ip": "10.2.0.1", "access_config": [{"nat_ip": "198.51.100.7"}]}]}}]}]}"#;
    let imported = nodes(Format::Terraform, "s", state).unwrap();
    assert!(
        imported.text.ends_with(
            "nodes:\n  web-a: {groups: [web], address: \"10.0.0.1\"}\n  web-1: {groups: [web], address: \"198.51.100.2\"}\n  g1: {groups: [g], address: \"198.51.100.7\"}\n"
        ),
        "{}",
        imported.text
    );
    let show = r#"{"values": {"root_module": {"child_modules": [{"resources": [{"type": "hcloud_server", "name": "n", "index": "a", "values": {"ipv4_address": "198.51.100.3"}}]}]}}}"#;
    let imported = nodes(Format::Terraform, "s", show).unwrap();
    assert!(
        imported
            .text
            .ends_with("  n-a: {groups: [n], address: \"198.51.100.3\"}\n"),
        "{}",
        imported.text
    );
}

#[test]
fn what_is_hostile_ends_soon_and_says_so() {
    let many = format!("[{}]\n", "a".repeat(1000));
    for (format, text) in [
        (Format::Ansible, "web[1:99999999]\n".to_owned()),
        (Format::Ansible, "web[1:5000][1:5000]\n".to_owned()),
        (
            Format::Ansible,
            "a[0000000000000000000000000000000:1]\n".to_owned(),
        ),
        (Format::Ansible, "[web\nx\n".to_owned()),
        (Format::Ansible, many),
        (Format::Ansible, "{".repeat(5000)),
        (Format::Terraform, "[".repeat(5000)),
        (Format::Terraform, "{}".to_owned()),
        (Format::SshConfig, "Host *\n".to_owned()),
        (Format::Ansible, "x".repeat(MOST_BYTES + 1)),
    ] {
        assert!(
            nodes(format, "x", &text).is_err(),
            "{}",
            &text[..text.len().min(40)]
        );
    }
    // Circular groups, and a name that would inject YAML.
    let text = "[a:children]\nb\n[b:children]\na\n[b]\nx v='}, y: {z: 1'\n\"a: b\"\n";
    let imported = nodes(Format::Ansible, "x", text).unwrap();
    assert!(
        imported
            .text
            .contains("x: {groups: [b], v: \"}, y: {z: 1\"}\n"),
        "{}",
        imported.text
    );
    assert_eq!(
        left(&imported),
        ["x:7 `a: b` is not a valid name for a node here"]
    );
}

fn of_goss(
    text: &str,
    vars: Option<&str>,
    env: &[(&str, &str)],
) -> Result<Imported, NotUnderstood> {
    let env: Vec<(String, String)> = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let included = |from: &str, named: &str| {
        assert_eq!((from, named), ("goss.yaml", "more.yaml"));
        vec![(
            "more.yaml".to_owned(),
            "port:\n  tcp:{{.Vars.Port}}: {listening: true}\n".to_owned(),
        )]
    };
    let with = Goss {
        id: "base",
        nodes: Some("@web"),
        vars: vars.map(|vars| ("vars.yaml", vars)),
        env: &env,
        included: &included,
    };
    goss("goss.yaml", text, &with)
}

#[test]
fn a_gossfile_is_a_group_of_checks_and_each_that_it_includes() {
    let text = "---\nservice:\n  nginx: {running: true}\n  '{{.Vars.App}}': {running: true}\ngossfile:\n  more.yaml: {}\n";
    let imported = of_goss(text, None, &[]).unwrap();
    assert_eq!(
        imported.text,
        "# base\n\n<!-- opsbook import goss: goss.yaml -->\n\n```yaml checks\nid: base\nnodes: \"@web\"\nservice:\n  nginx: {running: true}\n  '${app}': {running: true}\n```\n\n## base.more\n\n```yaml checks\nid: base.more\nnodes: \"@web\"\nport:\n  tcp:${port}: {listening: true}\n```\n"
    );
    assert_eq!(
        left(&imported),
        [
            "goss.yaml:4 `app` is a value: define it in `nodes.yaml`",
            "more.yaml:2 `port` is a value: define it in `nodes.yaml`"
        ]
    );
    let given = of_goss(text, Some("App: shop\nPort: 80\n"), &[]).unwrap();
    assert!(
        given.text.contains("'shop': {running") && given.text.contains("tcp:80:"),
        "{}",
        given.text
    );
    assert!(given.left.is_empty());
}

#[test]
fn gosss_templates_are_filled_in_as_goss_does() {
    let vars = "jammy:\n  packages: {b: '2', a: '1'}\n  services: {a: [x, y]}\n  proxy: ''\nlist: [p, q]\n";
    for (template, expected) in [
        (
            "{{range mkSlice \"/A\" \"/b\"}}{{. | toLower}};{{end}}",
            "/a;/b;",
        ),
        (
            "{{- range $n, $v := index .Vars .Env.OS \"packages\"}}{{$n}}={{$v}} {{end}}",
            "a=1 b=2 ",
        ),
        (
            "{{range $n, $r := index .Vars .Env.OS \"services\"}}{{$n}}: {{toJson $r}}{{end}}",
            "a: [\"x\",\"y\"]",
        ),
        (
            "{{ if .Env.OS | regexMatch \"jam[m]y\" }}yes{{else}}no{{end}}",
            "yes",
        ),
        (
            "{{ if index .Vars .Env.OS \"proxy\" }}yes{{else if eq .Env.OS \"jammy\"}}else{{end}}",
            "else",
        ),
        ("{{range .Vars.list}}{{.}},{{else}}none{{end}}", "p,q,"),
        ("{{ \"a\" | upper | repeat 3 }}", "AAA"),
        (
            "{{range .Vars.list}}{{if eq . \"p\"}}{{range $.Vars.list}}{{.}}{{end}}{{end}}{{end}}",
            "pq",
        ),
        ("a {{- /* said */ -}} b{{ .Env.OS -}}\n c", "abjammyc"),
        (
            "{{$x := index .Vars \"list\"}}{{index $x 1}}{{len $x}}",
            "q2",
        ),
        (
            "{{with index .Vars \"none\"}}x{{else}}y{{end}}{{.Vars.Some}}",
            "y${some}",
        ),
        (
            "{{if and .Env.OS (not false)}}{{\"}\" | toUpper}}{{end}}",
            "}",
        ),
    ] {
        let text = format!("a: {{x: |\n  {template}\n}}\n");
        let made =
            super::template::render(template, &item(vars), &item("OS: jammy"), &mut |name, _| {
                Some(name.to_lowercase())
            });
        assert_eq!(made.as_deref(), Ok(expected), "{text}");
    }
    let wrong = |template: &str| {
        super::template::render(template, &item("{}"), &item("{}"), &mut |name, _| {
            Some(name.to_owned())
        })
        .unwrap_err()
        .1
    };
    assert!(wrong("{{range .Vars.x}}{{end}}").contains("give it with --vars"));
    assert!(wrong("{{readFile \"/etc/shadow\"}}").contains("`goss render`"));
    assert!(wrong("{{if .Env.X}}a{{end}}").contains("give it with --vars or --env"));
    assert!(wrong("{{if true}}").contains("never closed"));
    assert!(wrong("{{end}}").contains("closes nothing"));
    assert!(wrong("{{").contains("never closed"));
    let deep = "{{if true}}".repeat(100) + &"{{end}}".repeat(100);
    assert!(wrong(&deep).contains("too much"));
}

fn item(yaml: &str) -> super::template::Item {
    super::template::Item::of(&super::document("x", yaml).unwrap())
}

#[test]
fn a_document_of_innovation_engine_is_steps_on_this_machine() {
    let text = "# Hello\n\nSay:\n\n```bash\necho hi\n```\n\n<!-- expected_similarity=1.0 -->\n```text\nhi\n```\n\n```azurecli\ndate\n```\n\n<!-- expected_similarity=0.3 -->\n```text\nWed Apr 20\n```\n";
    let imported = innovation("docs/hello.md", text).unwrap();
    assert_eq!(
        imported.text,
        "# Hello\n\n```yaml procedure\nid: hello\n```\n\nSay:\n\n```bash step on=local\necho hi\n```\n\n```text expect\nhi\n```\n\n```bash step on=local\ndate\n```\n\n```text example\nWed Apr 20\n```\n"
    );
    assert_eq!(imported.taken, ["2 steps", "1 expectation"]);
    assert_eq!(
        left(&imported),
        [
            "docs/hello.md:18 output that is alike by 0.3: `opsbook bless --from RUN` writes what is to be expected"
        ]
    );
    assert!(innovation("x.md", "# Words\n").is_err());
}

#[test]
fn plain_tasks_of_a_role_are_steps_and_the_rest_is_for_a_person() {
    let text = "---\n- name: Install it\n  apt: {name: chrony, state: present, update_cache: yes}\n- name: Its folder\n  file:\n    path: /srv/a b\n    state: directory\n    mode: 0750\n  notify: restart\n- name: Run it\n  ansible.builtin.command: /opt/x --go\n  become: true\n- name: Only there\n  service: {name: chrony, state: started}\n  when: on_debian\n- name: With a value\n  copy: {src: \"{{ file }}\", dest: /etc/x}\n- name: Start\n  systemd: {name: chrony, enabled: true, state: started}\n";
    let imported = role("roles/ntp/tasks/main.yml", text, None).unwrap();
    let expected = "# ntp\n\n<!-- opsbook import ansible: roles/ntp/tasks/main.yml, 4 of 6 tasks -->\n\n```yaml procedure\nid: ntp\n```\n\nInstall it\n\n```sh step sudo\napt-get update\napt-get install -y chrony\n```\n\nIts folder\n\n```sh step sudo\nmkdir -p '/srv/a b'\nchmod 0750 '/srv/a b'\n```\n\nRun it\n\n```sh step sudo\n/opt/x --go\n```\n\nOnly there\n\n```text manual\nTo do: `when`: on_debian.\n\nsystemctl start chrony\n\n- name: Only there\n  service: {name: chrony, state: started}\n  when: on_debian\n```\n\nWith a value\n\n```text manual\nTo do: `copy`: a `file to=` block, or `deliver`.\n\n- name: With a value\n  copy: {src: \"{{ file }}\", dest: /etc/x}\n```\n\nStart\n\n```sh step sudo\nsystemctl enable chrony\nsystemctl start chrony\n```\n";
    assert_eq!(imported.text, expected);
    assert_eq!(imported.taken, ["4 steps", "2 for a person"]);
    assert_eq!(imported.left.len(), 3);
    // A value with a meaning to a shell is quoted.
    let sly = "- file: {path: \"/x; rm -rf /\", state: absent}\n";
    let sly = role("r", sly, None).unwrap();
    assert!(sly.text.contains("rm -rf '/x; rm -rf /'\n"), "{}", sly.text);
    assert!(role("r", "[]", None).unwrap_err().0.contains("no task"));
}

#[test]
fn names_in_values_are_parameters_and_loops_over_lists_are_written_out() {
    let text = "- name: Packages\n  package:\n    name: [\"{{ web_package }}\", 'a$b']\n- name: Folders\n  file: {path: \"{{ web_root }}/{{ item }}\", state: directory}\n  loop: [conf, items]\n- name: Units\n  service: {name: \"{{ item.unit }}\", enabled: \"{{ item.on }}\"}\n  with_items:\n    - {unit: a, on: yes}\n    - {unit: b, on: no}\n- name: Not so plain\n  service: {name: \"{{ web_unit | default('x') }}\", state: started}\n- name: Not a list\n  service: {name: \"{{ item }}\", state: started}\n  loop: \"{{ units }}\"\n- name: A name of a node\n  service: {name: \"{{ port }}\", state: started}\n";
    let defaults = "web_package: \"it's\"\nweb_root: \"{{ base }}/x\"\nweb_list: [a]\n";
    let imported = role("web/tasks/extra.yml", text, Some(defaults)).unwrap();
    for has in [
        "id: extra\nparams:\n  web_package: {default: 'it''s'}\n  web_root: {required: true}\n```\n",
        "\napt-get install -y \"${web_package}\" 'a$b'\n",
        "\nmkdir -p \"${web_root}/conf\"\nmkdir -p \"${web_root}/items\"\n",
        "\nsystemctl enable a\nsystemctl disable b\n",
        "To do: `service`: what it does, as a command.",
        "To do: `loop`: {{ units }}, `service`: what it does",
        "To do: a value with a name that nodes have.\n\nsystemctl start \"$${port}\"\n",
    ] {
        assert!(imported.text.contains(has), "{has}\n{}", imported.text);
    }
    assert_eq!(imported.taken, ["3 steps", "3 for a person"]);
}

#[test]
fn what_a_role_takes_from_elsewhere_is_named() {
    let text = "- include_tasks: setup-Debian.yml\n  when: ansible_os_family == 'Debian'\n- import_tasks: {file: users.yml}\n- include_vars: \"{{ item }}\"\n- ansible.builtin.include_role: {name: common}\n- debug: {msg: x}\n  ping: {}\n- yum: name=x state=present\n";
    let imported = role("roles/web/tasks/main.yml", text, None).unwrap();
    for has in [
        "To do: `when`: ansible_os_family == 'Debian', `include_tasks`: the tasks of `setup-Debian.yml`, imported by themselves.",
        "`import_tasks`: the tasks of `users.yml`",
        "`include_vars`: the values of `{{ item }}`",
        "`include_role`: the role `common`",
        "To do: which of its words is the module.",
        "\nyum install -y x\n",
    ] {
        assert!(imported.text.contains(has), "{has}\n{}", imported.text);
    }
}

#[test]
fn a_script_is_cut_at_its_comments() {
    let text = "#!/bin/bash\nset -e\n\n# Stop it\nsystemctl stop a\n\n# Move\n# the data\nfor f in x; do\n\n# inner\n  mv \"$f\" /y\ndone\n\n# Begin with $1\necho \"$1\"\n";
    let imported = script("deploy/up.sh", text).unwrap();
    assert_eq!(
        imported.text,
        "# up\n\n<!-- opsbook import script: deploy/up.sh -->\n\n```yaml procedure\nid: up\n```\n\n```bash step\nset -e\n```\n\nStop it\n\n```bash step\n# Stop it\nsystemctl stop a\n```\n\nMove the data\n\n```bash step\n# Move\n# the data\nfor f in x; do\n\n# inner\n  mv \"$f\" /y\ndone\n```\n\nBegin with $1\n\n```bash step\n# Begin with $1\necho \"$1\"\n```\n"
    );
    assert_eq!(
        left(&imported),
        ["deploy/up.sh:15 it reads arguments: make them parameters"]
    );
    // A function is used after its end: one piece.
    let imported = script("f.sh", "f() { :; }\n\n# call\nf\n").unwrap();
    assert_eq!(imported.taken[0], "1 step");
    assert!(script("x.pl", "#!/usr/bin/perl\nprint 1;\n").is_err());
}

#[test]
fn cells_of_runme() {
    let text = "# Title\n\n```sh {\"name\":\"build\",\"id\":\"01H\"}\nmake\n```\n\n- In a list:\n\n  ```bash { interactive=true }\n  vim\n  ```\n\n```yaml\na: 1\n```\n";
    let imported = runme("README.md", text).unwrap();
    assert_eq!(
        imported.text,
        "# Title\n\n```yaml procedure\nid: readme\n```\n\n```sh step id=build on=local\nmake\n```\n\n- In a list:\n\n  ```bash example\n  vim\n  ```\n\n```yaml\na: 1\n```\n"
    );
    assert_eq!(
        left(&imported),
        ["README.md:9 a cell with `interactive` is shown, and not run"]
    );
}

#[test]
fn jobs_of_rundeck() {
    let text = "- name: Restart it\n  description: Slowly\n  options:\n  - {name: Node-Name, required: true, regex: 'w.*'}\n  - {name: key, secure: true}\n  schedule: {}\n  sequence:\n    commands:\n    - {description: Stop, exec: 'systemctl stop ${option.Node-Name}'}\n    - {script: \"echo @option.Node-Name@\\n\", scriptInterpreter: /bin/bash}\n    - {jobref: {name: other}}\n";
    let imported = rundeck("jobs.yaml", text).unwrap();
    assert_eq!(
        imported.text,
        "# Jobs\n\n<!-- opsbook import rundeck: jobs.yaml -->\n\n## Restart it\n\nSlowly\n\n```yaml procedure\nid: restart-it\nparams:\n  node_name: {required: true, pattern: \"w.*\"}\n```\n\nStop\n\n```sh step\nsystemctl stop ${node_name}\n```\n\n```bash step\necho ${node_name}\n```\n\n```text manual\nDo what this step of Rundeck did, with: jobref.\n```\n"
    );
    assert_eq!(
        left(&imported),
        [
            "jobs.yaml:5 `key` is a secret: a value of nodes, `{secret: …}`",
            "jobs.yaml:6 `schedule` of the job `Restart it`",
            "jobs.yaml:11 a step that is no plain command or script",
        ]
    );
}
