//! The contents of an archive as a bill of materials in `CycloneDX` 1.6. Without time and serial
//! number, so it is reproducible.

use serde_json::{Value, json};

use crate::package::description::Description;

pub(crate) fn bom(description: &Description) -> Value {
    let hash = |content: &str| {
        let hex = content.trim_start_matches("sha256:");
        json!([{"alg": "SHA-256", "content": hex}])
    };
    let itself = json!({
        "type": "application",
        "bom-ref": description.name,
        "name": description.name,
        "version": description.version,
        "hashes": hash(&description.content),
    });
    let packages = description.packages.iter().map(|part| {
        json!({
            "type": "library",
            "bom-ref": format!("packages/{}", part.name),
            "name": part.name,
            "version": part.version,
            "hashes": hash(&part.content),
            "externalReferences": [{"type": "distribution", "url": part.from}],
        })
    });
    let files = description.files.iter().filter_map(|file| {
        let sum = file.sha256.as_ref()?;
        Some(json!({
            "type": "file",
            "bom-ref": format!("file:{}", file.path),
            "name": file.path,
            "hashes": hash(sum),
        }))
    });
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": itself},
        "components": packages.chain(files).collect::<Vec<_>>(),
    })
}
