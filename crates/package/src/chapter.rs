//! The generated chapter about a book's packages. Pure.

use crate::manifest::Manifest;
use crate::resolve::Part;
use crate::tree::sha256;

/// The page, in Markdown. Descriptions of packages appear as plain text, never as markup.
#[must_use]
pub fn text(book: &Manifest, parts: &[Part]) -> String {
    let mut text = String::from(
        "# Packages\n\nWhat this book is made of. `opsbook packages` prints the same; \
         `opsbook.lock` pins it.\n\n| package | version | content | signed by | owners |\n|---|---|---|---|---|\n",
    );
    for part in parts {
        let owners = part
            .package()
            .map_or(String::new(), |package| package.owners.join(", "));
        let signed = part.signed.as_ref().map_or("–", |signed| &signed.by);
        let content = part.content.get(..19).unwrap_or(&part.content);
        text += &format!(
            "| [{}](#{}) | {} | {} | {} | {} |\n",
            part.name(),
            anchor(part),
            part.version(),
            code(content),
            plain(signed),
            plain(&owners)
        );
    }
    for part in parts {
        text += &one(book, part);
    }
    text
}

/// The line below the title of each page of a package: version, owners, source. In Markdown.
#[must_use]
pub fn line(part: &Part) -> String {
    let mut line = format!("{} {}", part.name(), part.version());
    let Some(package) = part.package() else {
        return line;
    };
    line += &format!(" · {}", plain(&package.owners.join(", ")));
    let revision = part.from.rsplit_once('#').map(|(_, revision)| revision);
    let short = revision.map(|revision| code(revision.get(..12).unwrap_or(revision)));
    let at = short
        .map(|short| format!(" at {short}"))
        .unwrap_or_default();
    let repository = package.repository.as_deref();
    let can_be_a_link = |url: &&str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/:%+@".contains(c);
        url.starts_with("https://") && url.chars().all(plain)
    };
    match repository.filter(can_be_a_link) {
        Some(url) => line += &format!(" · [source]({url}){at}"),
        None if !at.is_empty() => line += &format!(" · source{at}"),
        None => {}
    }
    line
}

fn anchor(part: &Part) -> String {
    let title = format!("{} {}", part.name(), part.version());
    title.replace(' ', "-").replace('.', "")
}

fn one(book: &Manifest, part: &Part) -> String {
    let name = part.name();
    let mut text = format!("\n## {name} {}\n\n", part.version());
    if let Some(package) = part.package() {
        if let Some(description) = &package.description {
            text += &format!("{}\n\n", plain(description));
        }
        let by: Vec<&str> = part.by.iter().map(String::as_str).collect();
        text += &format!("- source: {}\n", code(&part.from));
        text += &format!("- content: {}\n", code(&part.content));
        text += &format!("- owners: {}\n", plain(&package.owners.join(", ")));
        text += &format!("- asked for by: {}\n", plain(&by.join(", ")));
        if let Some(license) = &package.license {
            text += &format!("- license: {}\n", plain(license));
        }
    }
    text += &values(part);
    if !part.manifest.groups.is_empty() {
        text += "\nGroups of nodes that it is for:\n\n";
        for (group, about) in &part.manifest.groups {
            text += &format!("- {}: {}\n", code(&format!("@{group}")), plain(&about.help));
        }
    }
    text + &overrides(book, part) + &changes(part)
}

fn values(part: &Part) -> String {
    if part.manifest.values.is_empty() {
        return String::new();
    }
    let mut text = "\n| value | default | meaning |\n|---|---|---|\n".to_owned();
    for (name, value) in &part.manifest.values {
        let default = value
            .default
            .as_ref()
            .map(|default| code(default.span.text()));
        let default = default.unwrap_or_else(|| match (value.secret, value.required) {
            (true, _) => "a secret".to_owned(),
            (_, true) => "required".to_owned(),
            (false, false) => "–".to_owned(),
        });
        let help = value.help.as_deref().unwrap_or_default();
        let shared = if value.shared { " (the book's)" } else { "" };
        text += &format!("| {} | {default} | {}{shared} |\n", code(name), plain(help));
    }
    text
}

fn overrides(book: &Manifest, part: &Part) -> String {
    let mut text = String::new();
    for template in &book.overrides.templates {
        if template.package == part.name() {
            let (file, by) = (code(&template.file), code(&template.by.value));
            text += &format!("- {file} is replaced by the book's {by}\n");
        }
    }
    let package = part.package();
    let own = |group: &str| package.is_some_and(|package| package.claims(group).is_some());
    for skip in book.overrides.checks.iter().filter(|skip| own(&skip.group)) {
        let name = match &skip.check {
            Some(check) => format!("{}/{check}", skip.group),
            None => skip.group.clone(),
        };
        let until = skip.until.as_ref().map(|until| format!(", until {until}"));
        let (reason, until) = (plain(&skip.reason), until.unwrap_or_default());
        text += &format!("- check {} is left out: {reason}{until}\n", code(&name));
    }
    if text.is_empty() {
        return text;
    }
    format!("\nThis book has it otherwise:\n\n{text}")
}

/// The changelog's section about this version.
fn changes(part: &Part) -> String {
    let changelog = part
        .package()
        .and_then(|package| package.changelog.as_ref());
    let Some(text) = changelog.and_then(|changelog| part.tree.text(&changelog.value)) else {
        return String::new();
    };
    let version = part.version().to_string();
    let heading = |line: &str| line.starts_with('#');
    let of_it = |line: &&str| {
        let mut words = line.split(|c: char| c.is_whitespace() || "[]()".contains(c));
        heading(line) && words.any(|word| word.trim_start_matches('v') == version)
    };
    let mut lines = text.lines().skip_while(|line| !of_it(line));
    if lines.next().is_none() {
        return String::new();
    }
    let lines: Vec<String> = lines
        .take_while(|line| !heading(line))
        .filter(|line| !line.trim().is_empty())
        .take(40)
        .map(|line| {
            format!(
                "- {}\n",
                plain(line.trim().trim_start_matches(['-', '*', ' ']))
            )
        })
        .collect();
    format!("\nWhat changed in {version}:\n\n{}", lines.concat())
}

/// Escapes text for Markdown and HTML.
fn plain(text: &str) -> String {
    let line = opsbook_text::outside::line(text).to_string();
    let mut plain = String::new();
    for c in line.chars() {
        match c {
            '<' => plain += "&lt;",
            '&' => plain += "&amp;",
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '{' | '}' | '!' => {
                plain.push('\\');
                plain.push(c);
            }
            c => plain.push(c),
        }
    }
    plain
}

/// The text as inline code; removes grave accents, which would end it.
fn code(text: &str) -> String {
    let line = opsbook_text::outside::line(text).to_string();
    format!("`{}`", line.replace('`', "'").replace('|', "\\|"))
}

/// The hash of a package's template, to notice changes.
#[must_use]
pub fn template_content(part: &Part, file: &str) -> Option<String> {
    let entry = part.tree.get(&format!("templates/{file}"))?;
    Some(format!("sha256:{}", sha256(&entry.bytes)))
}
