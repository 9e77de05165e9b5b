//! Results of templates, and every drawn error.

use super::*;

fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = root.path().join(FOLDER).join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    root
}

fn values() -> Values {
    let source = Source::new(
        "nodes.yaml",
        "port: 8000\nmode: 0644\nversion: 1.10\nratio: 0.5\non: true\nlist: [b, a]\nmap: {z: 1, a: 2}\n",
    );
    let (root, problems) = yaml::read(&Passage::whole(&source));
    assert!(problems.is_empty());
    let mut values = Values::default();
    for (name, entry) in root.unwrap().as_map().unwrap() {
        values.yaml(name, &entry.value);
    }
    values.text("password", "canary-5a1e");
    values
}

fn render_files(files: &[(&str, &str)]) -> Result<String, String> {
    let root = project(files);
    match render(
        &Files::of(root.path()),
        Template::Named(files[0].0),
        &values(),
    ) {
        Ok(rendered) => Ok(rendered.text),
        Err(problem) => Err(problem.to_string()),
    }
}

fn render_text(text: &str) -> Result<String, String> {
    render_files(&[("a", text)])
}

#[test]
fn values_keep_the_text_that_was_written() {
    for (template, expected) in [
        ("{{ port }} {{ port + 1 }}\n", "8000 8001\n"),
        (
            "{{ mode }} {{ version }} {{ ratio }} {{ on }}",
            "0644 1.10 0.5 true",
        ),
        (
            "{% for x in list %}\n  {{ x }};\n{% endfor %}\n",
            "  b;\n  a;\n",
        ),
        (
            "{% for k, v in map|items %}{{ k }}={{ v }} {% endfor %}",
            "z=1 a=2 ",
        ),
        (
            "{{ list|join('<') }} {{ '&' }} {{ map|tojson }}\n\n",
            "b<a & {\"z\": 1, \"a\": 2}\n\n",
        ),
        (
            "{{ nothing|default('x') }}{% if nothing is defined %}y{% endif %}",
            "x",
        ),
    ] {
        assert_eq!(render_text(template), Ok(expected.to_owned()), "{template}");
        assert_eq!(
            render_files(&[("a.html", template)]),
            Ok(expected.to_owned()),
            "{template}"
        );
    }
}

#[test]
fn includes_stay_within_the_folder() {
    let site = "{% import 'lib/m' as m %}{{ m.twice(port) }}{% include 'lib/part' %}";
    let files = [
        ("site", site),
        ("lib/m", "{% macro twice(x) %}{{ x * 2 }}{% endmacro %}"),
        ("lib/part", " {{ mode }}"),
    ];
    assert_eq!(render_files(&files), Ok("16000 0644".to_owned()));
    let root = project(&[("a", "{% include 'link' %}")]);
    std::fs::write(root.path().join("secret"), "canary").unwrap();
    std::os::unix::fs::symlink("../secret", root.path().join("templates/link")).unwrap();
    for name in ["link", "a", "../secret", "/etc/passwd", "./a", "a/../a", ""] {
        let Err(problem) = render(&Files::of(root.path()), Template::Named(name), &values()) else {
            panic!("{name} was read");
        };
        assert!(!problem.to_string().contains("canary"), "{problem}");
        assert!(
            problem.to_string().contains("outside") || name.is_empty(),
            "{name}: {problem}"
        );
    }
}

#[test]
fn what_was_asked_for_is_known() {
    let root = project(&[
        ("a", "{% include 'b' %}{{ port }}{{ x|default(1) }}"),
        ("b", "{{ password }}"),
    ]);
    let rendered = render(&Files::of(root.path()), Template::Named("a"), &values())
        .ok()
        .unwrap();
    assert_eq!(
        rendered.used.iter().map(String::as_str).collect::<Vec<_>>(),
        ["password", "port"]
    );
}

#[test]
fn errors_point_into_the_template() {
    for (files, expected) in [
        (
            vec![("a", "ü\nlisten {{ prt }};\n")],
            "templates/a:2:11: error: `prt` is not defined\n  |\n2 | listen {{ prt }};\n  |           ^^^\n\nhint: did you mean `port`?",
        ),
        (
            vec![("a", "{{ map.b }}")],
            "templates/a:1:4: error: `map.b` is not defined\n  |\n1 | {{ map.b }}\n  |    ^^^^^",
        ),
        (
            vec![("a", "x\n{% if %}\n")],
            "templates/a:2:7: error: template syntax: unexpected end of block\n  |\n2 | {% if %}\n  |       ^^",
        ),
        (
            vec![
                ("a", "{% include 'dir/b' %}\n"),
                ("dir/b", "\n{{ password + no }}"),
            ],
            "templates/dir/b:2:4: error: tried to use + operator on unsupported types string and undefined (`no` is undefined)\n  |\n2 | {{ password + no }}\n  |    ^^^^^^^^^^^^^\ntemplates/a:1:4: from here\n  |\n1 | {% include 'dir/b' %}\n  |    ^^^^^^^^^^^^^^^",
        ),
        (
            vec![("a", "{% include 'b' %}\n")],
            "templates/a:1:4: error: tried to include non-existing template `b`\n  |\n1 | {% include 'b' %}\n  |    ^^^^^^^^^^^",
        ),
        (
            vec![("a", "{{ password|int }}\n")],
            "templates/a:1:13: error: invalid float literal\n  |\n1 | {{ password|int }}\n  |             ^^^",
        ),
        (
            vec![("a", "{{ port % 0 }}")],
            "templates/a:1:4: error: this cannot be calculated\n  |\n1 | {{ port % 0 }}\n  |    ^^^^^^^^",
        ),
        (
            vec![(
                "a",
                "{% for a in range(99999) %}{% for a in range(99999) %}{% endfor %}{% endfor %}",
            )],
            "templates/a:1:1: error: the template does not end\n  |\n1 | {% for a in range(99999) %}{% for a in range(99999) %}{% endfor %}{% endfor %}\n  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
        ),
        (
            vec![(
                "a",
                "{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}",
            )],
            "error: the output of the template is larger than 16777216 bytes",
        ),
        (
            vec![("a", "{% include 'a' %}")],
            "templates/a:1:4: error: recursion limit exceeded\n  |\n1 | {% include 'a' %}\n  |    ^^^^^^^^^^^",
        ),
    ] {
        let found = render_files(&files).unwrap_err();
        assert_eq!(found, expected);
        assert!(!found.contains("canary"), "{found}");
    }
}

#[test]
fn a_block_is_drawn_in_its_page() {
    let page = Source::new(
        "manual/a.md",
        "- x\n  ```conf file\n  listen {{ prt }};\n  ```\n",
    );
    let mut block = Passage::default();
    block.push("listen {{ prt }};\n", &page, 21);
    let root = project(&[]);
    let problem = render(&Files::of(root.path()), Template::Inline(&block), &values())
        .err()
        .unwrap();
    assert_eq!(
        problem.to_string(),
        "manual/a.md:3:13: error: `prt` is not defined\n  |\n3 |   listen {{ prt }};\n  |             ^^^\n\nhint: did you mean `port`?"
    );
}

#[test]
fn an_unknown_template_is_named() {
    let root = project(&[("nginx/site.conf", ""), ("x", "")]);
    let unknown = |name| {
        render(&Files::of(root.path()), Template::Named(name), &values())
            .err()
            .unwrap()
            .to_string()
    };
    assert_eq!(
        unknown("nginx/site.cnf"),
        "error: unknown template `nginx/site.cnf`\n\nhint: did you mean `nginx/site.conf`?"
    );
    assert_eq!(
        unknown("other/file"),
        "error: unknown template `other/file`\n\nhint: templates are in `templates/`"
    );
}
